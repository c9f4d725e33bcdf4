"""Recordings as tests write them, and what is sent of one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from perfhunt.load.render import prepare
from perfhunt.model.question import Question
from perfhunt.model.recorded.traffic import RecordedTraffic
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.thresholds import BLANK
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.store.init_file import init_text

SHOP = "http://shop.test:8000"


def question(traffic: RecordedTraffic, base: str = "", **env: str) -> Question:
    """The file that `init` writes, as `investigate` reads it once its SLO has numbers."""
    text = init_text(None, None, traffic).replace(f'environment = "{BLANK}"', "")
    text = text.replace(f"<= {BLANK}ms", "<= 40ms").replace(f"< {BLANK}%", "< 4%")
    around = Surroundings(env, lambda name: traffic.feeds[Path(name).name].encode(), base)
    return parse_question(text, "perfhunt.toml", around)


def sent(traffic: RecordedTraffic, place: Path, **env: str) -> Counter[tuple[str, str, bytes]]:
    """Every request that would be sent, as its first line, its headers and its body, by how often;
    without the headers that say whose load it is.
    """
    for name, text in traffic.feeds.items():
        (place / name).write_text(text)
    requests: Counter[tuple[str, str, bytes]] = Counter()
    for endpoint in question(traffic, str(place), **env).traffic:
        payloads = prepare(endpoint, "shop.test:8000", "1", env)
        each = int(endpoint.weight) // payloads.rows
        for row in range(payloads.rows):
            head, _, body = payloads.get(row).partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            kept = [line for line in lines if not line.startswith(("User-Agent", "X-Perfhunt"))]
            requests[first, "\n".join(sorted(kept)), body] += each
    return requests


def entry(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]] = (),
    around: Mapping[str, object] | None = None,
    **post: object,
) -> dict[str, object]:
    """An entry of a HAR; `around` is what stands beside its request."""
    request: dict[str, object] = {
        "method": method,
        "url": url,
        "headers": [{"name": name, "value": value} for name, value in headers],
    }
    return {"request": request | ({"postData": post} if post else {}), **(around or {})}


def har(*entries: object) -> str:
    return json.dumps({"log": {"version": "1.2", "entries": entries}})


def answered(status: int, **more: object) -> Iterator[tuple[str, object]]:
    """What stands beside a request that was answered so."""
    yield "response", {"status": status, **more}
