"""Answers one connection at a time, each in 8 ms, and closes it; the first argument is the backlog.
Prints "ready PORT".
"""

import socket
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
TAKES = 0.008  # seconds


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=int(sys.argv[1]))
    print("ready", listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(65536):
                time.sleep(TAKES)
                connection.sendall(ANSWER)


if __name__ == "__main__":
    main()
