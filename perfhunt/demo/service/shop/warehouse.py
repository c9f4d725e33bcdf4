"""Stock levels, asked of the warehouse over a socket: one line with a SKU goes out, one line with a
number comes back.
"""

import os
import socket
import threading
from pathlib import Path

ADDRESS = os.environ.get("SHOP_WAREHOUSE", str(Path(__file__).parent.parent / "warehouse.sock"))


class Line:
    """An open connection to the warehouse."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(ADDRESS)
        self.reader = self.socket.makefile("rb")


_line: Line | None = None
_one_at_a_time = threading.Lock()


def stock_level(sku: str) -> int:
    """How many of a product the warehouse holds."""
    global _line
    with _one_at_a_time:
        if _line is None:
            _line = Line()
        _line.socket.sendall(sku.encode() + b"\n")
        return int(_line.reader.readline())
