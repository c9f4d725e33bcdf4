"""Innocent work that the services of the zoo share: CPU spent in pure Python, and a page to show
for it.
"""

from __future__ import annotations

import json


def crunch(rounds: int) -> int:
    """CPU for about `rounds` * 0.05 us in pure Python."""
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


def render_page(rounds: int = 75_000) -> bytes:
    """The decoy: CPU-busy, on top of every naive profile, and not what stops the service."""
    rows = [{"row": n, "text": f"item {n}"} for n in range(20)]
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return json.dumps({"rows": rows, "total": total}).encode()
