"""Mutations of seeds: a small fuzzer without an engine, the same for the same seed."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

# What breaks readers: ends of numbers' ranges, of encodings, of formats; nesting; nothing.
TOKENS = (
    *(b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\xc2\x85", b"\n", b"\r\n", b" ", b"\t", b"\\", b'"'),
    *(b"'", b"`", b"0", b"-1", b"1e999", b"9" * 30, b"9" * 5000, b"NaN", b"Infinity", b"null"),
    *(b"[", b"]", b"{", b"}", b"(", b")", b"<", b">", b"[" * 1000, b"{" * 1000, b"(" * 1000),
    *(b".", b";", b":", b",", b"=", b"#", b"/", b"//", b"--", b"*", b"&a", b"*a", b"$", b"${"),
    *(b" (", b"a.", b'{"a":', b"\x80" * 12, b"\x8f\xff\xff\xff\x7f", b"\x1f\x8b", b"true", b"[]"),
)
_WORD = re.compile(rb"[A-Za-z0-9_.]+|\s+|.", re.DOTALL)
LONGEST = 60_000  # bytes of a mutated input


def mutated(seeds: tuple[bytes, ...], count: int, seed: int) -> Iterator[bytes]:
    """So many inputs, each a few mutations away from a seed."""
    chance = random.Random(seed)
    for _ in range(count):
        raw = chance.choice(seeds)
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            raw = _once(raw, seeds, chance)[:LONGEST]
        yield raw


def _once(raw: bytes, seeds: tuple[bytes, ...], chance: random.Random) -> bytes:
    i, j = sorted(chance.randint(0, len(raw)) for _ in range(2))
    if chance.random() < 0.5:  # at the bounds of words, which most formats are made of
        words = [match.span() for match in _WORD.finditer(raw)] or [(0, 0)]
        (i, _), (_, j) = sorted((chance.choice(words), chance.choice(words[: 8 * len(words)])))
        j = min(j, i + 200) if chance.random() < 0.7 else j
    match chance.randint(0, 6):
        case 0:
            return raw[:i] + chance.choice(TOKENS) + raw[j:]
        case 1:
            return raw[:i] + chance.choice(TOKENS) + raw[i:]
        case 2:
            return raw[:i] + raw[j:]
        case 3:
            return raw[:j] + raw[i:j] * chance.choice((1, 2, 50)) + raw[j:]
        case 4:
            return raw[:i] + chance.choice(seeds)[j:]
        case 5:
            return raw[:i] + bytes([chance.randint(0, 255)]) + raw[i + 1 :]
    return raw[:j]


def amplified(seed: bytes, size: int) -> Iterator[bytes]:
    """The seed with each of its words, and each token, repeated up to so many bytes in its place:
    what takes the square of its size shows.
    """
    words = {seed[i:j] for i, j in (m.span() for m in _WORD.finditer(seed))}
    for word in sorted(words | set(TOKENS[1:-3])):
        at = max(0, seed.find(word))
        times = size // max(1, len(word))
        yield seed[:at] + word * times + seed[at:]
    lines = seed.splitlines(keepends=True)
    for line in lines:
        yield seed + line * (size // len(line))
    for n in (2, 3):
        if len(lines) >= n:
            yield b"".join(lines[:n]) * (size // max(1, len(b"".join(lines[:n]))))
