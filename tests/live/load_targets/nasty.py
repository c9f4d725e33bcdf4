"""A server that misbehaves on request: the path says how. Prints "ready PORT"."""

import asyncio
import gzip
import socket
import struct

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BOMB = gzip.compress(bytes(100_000_000), 1)


async def garbage(reader, writer):
    writer.write(b"\x00\xff\x13 this is not HTTP\r\n\r\n")


async def h2(reader, writer):
    """A server's first frame of HTTP/2: SETTINGS, with one of them."""
    writer.write(bytes.fromhex("000006 04 00 00000000 0003 00000064"))


async def tls(reader, writer):
    """A fatal alert: unexpected_message."""
    writer.write(bytes.fromhex("15 0303 0002 020a"))


async def half_body(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    return True


async def half_chunk(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nonly this")
    return True


async def half_head(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nConte")
    return True


async def silent(reader, writer):
    return True


async def headers(reader, writer):
    writer.write(
        b"HTTP/1.1 200 OK\r\n"
        + b"".join(b"X-%d: y\r\n" % i for i in range(50_000))
        + b"Content-Length: 0\r\n\r\n"
    )


async def endless(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)  # drain alone never lets the loop learn that the peer has gone


async def dripping(reader, writer):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
        writer.write(bytes([byte]))
        await asyncio.sleep(0.2)


async def pieces(reader, writer):
    """A whole answer, in pieces that split the head and a chunk header."""
    for piece in (
        b"HTTP/1.1 2",
        b"00 OK\r\nTransfer-Enc",
        b"oding: chunked\r",
        b"\n\r\n",
        b"2\r",
        b"\nok\r\n0\r\n",
        b"\r\n",
    ):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.002)


async def reset(reader, writer):
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


async def interim(reader, writer):
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.002)
    writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK)


async def pipelined(reader, writer):
    writer.write(OK + OK)


async def trailing(reader, writer):
    writer.write(OK + b"and something nobody asked for")


async def later(reader, writer):
    writer.write(OK)
    await writer.drain()
    await asyncio.sleep(0.002)
    writer.write(b"and something nobody asked for")


async def until_close(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nno length, ")
    await writer.drain()
    await asyncio.sleep(0.002)
    writer.write(b"so it ends where the connection does")
    return True


async def old(reader, writer):
    writer.write(b"HTTP/1.0 200 OK\r\n\r\nfrom 1996")
    return True


async def upgrade(reader, writer):
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n\x01\x02"
    )


async def packed(reader, writer):
    body = gzip.compress(b"the needle is here")
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )


async def bomb(reader, writer):
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
        + BOMB
    )


async def nothing(reader, writer):
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def teapot(reader, writer):
    writer.write(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n")


async def head(reader, writer):
    """The answer to HEAD: the length of a body that does not come."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")


async def fine(reader, writer):
    writer.write(OK)


HOW = {
    f"/{f.__name__}": f
    for f in (
        garbage,
        h2,
        tls,
        half_body,
        half_chunk,
        half_head,
        silent,
        headers,
        endless,
        dripping,
        pieces,
        reset,
        interim,
        pipelined,
        trailing,
        later,
        until_close,
        old,
        upgrade,
        packed,
        bomb,
        nothing,
        teapot,
        head,
        fine,
    )
}


async def serve(reader, writer):
    """`/grumpy` closes, unanswered, a connection that was silent for a second before it asked."""
    served, last = 0, 0.0
    loop = asyncio.get_running_loop()
    try:
        while True:
            first = await reader.readexactly(1)
            if first == b"\x16":  # a TLS ClientHello
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                break
            request = first + await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ")[1].decode()
            if path == "/grumpy":
                if served and loop.time() - last > 1.0:
                    break
                await fine(reader, writer)
            elif await HOW[path](reader, writer):
                break
            await writer.drain()
            served, last = served + 1, loop.time()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
