"""The head of an answer that came in pieces: bounded, and read just far enough to know where the
body ends.
"""

from __future__ import annotations

import re

MAX_HEAD = 1 << 16
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
# How what is no HTTP/1 begins: records of TLS (RFC 8446, 5.1), and HTTP/2's first frame, which is
# SETTINGS of stream 0 (RFC 9113, 3.4).
_OTHERS = (
    (re.compile(rb"[\x15\x16]\x03[\x00-\x04]"), "TLS: is target.url to begin with https://?"),
    (re.compile(rb"\x00..\x04.\x00{4}", re.DOTALL), "HTTP/2 alone: a k6 script can speak it"),
)
_FRAMED = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE | re.MULTILINE)


def spoken(first: bytes) -> str:
    """What a server speaks whose first bytes are no HTTP/1, with what to do; "" where it is not
    known.
    """
    return next((f"it speaks {what}" for begins, what in _OTHERS if begins.match(first)), "")


class ResponseHead:
    """Collects the bytes of a head; knows `status` and whether the body runs `until_close` once the
    head is whole.
    """

    __slots__ = ("_collected", "status", "until_close", "whole")

    def __init__(self) -> None:
        self._collected = b""
        self.whole = self.until_close = False
        self.status = 0

    def feed(self, content: bytes) -> bool:
        """Takes the next bytes of the connection; False when the head has outgrown its bound."""
        if self.whole:
            return True
        since = max(0, len(self._collected) - 3)  # Before that, its end was looked for already.
        self._collected += content
        while (end := self._collected.find(b"\r\n\r\n", since)) >= 0 or (
            end := self._collected.find(b"\n\n", since)
        ) >= 0:
            since = 0
            head, self._collected = self._collected[: end + 2], self._collected[end + 4 :]
            match = _STATUS.match(head)
            self.status = int(match[1]) if match else 0
            if self.status >= 200 or self.status == 0:
                self.whole = True
                self.until_close = (
                    bool(match) and _FRAMED.search(head) is None and self.status not in (204, 304)
                )
                self._collected = b""
                return end <= MAX_HEAD
        return len(self._collected) <= MAX_HEAD
