"""What frames of HTTP/2 carry (RFC 9113, 6.1)."""

from __future__ import annotations

import pytest

from perfhunt.profilers.tokio.stream import unpadded

PADDED = 0x8


@pytest.mark.parametrize(
    ("flags", "payload", "carried"),
    [
        (0, b"\x02ab", b"\x02ab"),
        (PADDED, b"\x02ab\0\0", b"ab"),
        (PADDED, b"\0ab", b"ab"),
        (PADDED, b"", b""),  # no length, which the frame says it has
        (PADDED, b"\x09ab", b""),  # more padding than there is frame
    ],
)
def test_padding_is_left_out(flags: int, payload: bytes, carried: bytes) -> None:
    assert unpadded(flags, payload) == carried
