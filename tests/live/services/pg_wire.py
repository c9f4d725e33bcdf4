"""The least of a PostgreSQL client: simple queries over TCP, where the server trusts whoever asks
(frontend/backend protocol 3.0).
"""

import socket
import struct


class Connection:
    """One connection; `query` gives the rows as tuples of text."""

    def __init__(self, port: int, user: str = "postgres", database: str = "postgres") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        words = b"".join(f"{w}\0".encode() for w in ("user", user, "database", database))
        body = struct.pack("!I", 196608) + words + b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.answer()

    def query(self, text: str) -> list[tuple[str | None, ...]]:
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self.answer()

    def answer(self) -> list[tuple[str | None, ...]]:
        rows, failed = [], ""
        while True:
            kind, size = struct.unpack("!cI", self.read(5))
            body = self.read(size - 4)
            if kind == b"D":
                rows.append(self.row(body))
            elif kind == b"E":
                failed = body.decode(errors="replace")
            elif kind == b"Z":
                if failed:
                    raise OSError(failed)
                return rows

    def row(self, body: bytes) -> tuple[str | None, ...]:
        (count,), at, row = struct.unpack_from("!H", body), 2, []
        for _ in range(count):
            (size,) = struct.unpack_from("!i", body, at)
            at += 4
            row.append(None if size < 0 else body[at : at + size].decode())
            at += max(size, 0)
        return tuple(row)

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self.socket.recv(size)
            if not part:
                raise OSError("the server hung up")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
