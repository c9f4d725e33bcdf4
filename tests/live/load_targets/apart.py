"""Answers "hello" over keep-alive connections, a thread each. How it writes is the first argument:

`apart`: headers and body by two writes; `nodelay`: the same with TCP_NODELAY; `whole`: by one;
`streaming`: a while between the two, of its own accord. Prints "ready PORT".
"""

import socket
import sys
import threading
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
BODY = b"hello"
PAUSE = 0.045  # seconds: as long as an acknowledgement is delayed


def serve(connection: socket.socket, how: str) -> None:
    if how == "nodelay":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    read = b""
    while piece := connection.recv(65536):
        read += piece
        while b"\r\n\r\n" in read:
            read = read.partition(b"\r\n\r\n")[2]
            answer(connection, how)
    connection.close()


def answer(connection: socket.socket, how: str) -> None:
    if how == "whole":
        connection.sendall(HEAD + BODY)
        return
    connection.sendall(HEAD)
    if how == "streaming":
        time.sleep(PAUSE)
    connection.sendall(BODY)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print("ready", listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, sys.argv[1]), daemon=True).start()


if __name__ == "__main__":
    main()
