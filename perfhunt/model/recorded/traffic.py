"""Recorded requests as the `[[traffic]]` of a test file: weights are counts, and requests that
differ only in their path or body are one endpoint with a feed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from perfhunt.errors import Unreadable
from perfhunt.model.recorded.request import LeftOut, RecordedRequest
from perfhunt.model.recorded.table import TrafficTable, tables_toml
from perfhunt.model.testfile.template import columns_used, variables_used
from perfhunt.model.text.escaping import json_text

ENDPOINTS = 40  # more are no mix that a person looks over; the rarest are left out, and it is said
LITERAL = 3  # requests of one shape that stand in the file one by one; more of them are a feed
# A part of a path with more digits, or longer, tells one thing from another.
DIGITS, LENGTH = 2, 24
_Shape: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...], bool]


class RecordedTraffic(NamedTuple):
    """The `[[traffic]]` tables as TOML, the feeds beside the test file by name, the origin that
    most requests went to ("": not recorded), what was left out, as sentences, and lines for the
    `[slo]` that a person may choose.
    """

    toml: str
    feeds: Mapping[str, str]
    origin: str
    notes: tuple[str, ...]
    slo: tuple[str, ...] = ()


@dataclass(slots=True)
class _Endpoint:
    shape: _Shape
    requests: Counter[tuple[str, str]]  # (target, body)

    @property
    def weight(self) -> int:
        return self.requests.total()


def traffic_of(read: Iterable[RecordedRequest | LeftOut], stem: str) -> RecordedTraffic:
    """The traffic of requests; feeds are named after `stem`. Raises Unreadable where there are
    none.
    """
    every, reasons = list[RecordedRequest](), Counter[str]()
    for each in read:
        if isinstance(each, LeftOut):
            reasons[each.why] += 1
        else:
            every.append(each)
    notes = [f"{n} were left out: {why}." for why, n in reasons.most_common()]
    if not every:
        raise Unreadable(" ".join(["no request that can be sent again was found;", *notes]))
    origin, _ = Counter(request.origin for request in every).most_common(1)[0]
    here = [request for request in every if request.origin == origin]
    if len(here) < len(every):
        others = sorted({request.origin for request in every} - {origin})
        notes.append(
            f"{len(every) - len(here)} of {len(every)} requests went to other places"
            f" ({', '.join(others[:3])}) and were left out."
        )
    endpoints = _endpoints(here)
    if rare := endpoints[ENDPOINTS:]:
        n = sum(endpoint.weight for endpoint in rare)
        notes.append(f"{len(rare)} rare kinds of request ({n} of {len(here)}) were left out.")
    tables, feeds = list[TrafficTable](), dict[str, str]()
    for endpoint in endpoints[:ENDPOINTS]:
        tables += _tables(endpoint, feeds, stem)
    notes += exports(tables)
    return RecordedTraffic(tables_toml(tables), feeds, origin, tuple(notes))


def exports(tables: Iterable[TrafficTable]) -> list[str]:
    """What has to be exported before the tables can be sent, as a sentence; none where nothing."""
    texts = (text for table in tables for text in (table.body, *(v for _, v in table.headers)))
    variables = sorted({name for text in texts for name in variables_used(text)})
    if not variables:
        return []
    return [
        "Values that may be secret, or that a test file cannot hold, come from the environment:"
        f" export {' '.join(f'{name}=...' for name in variables)}"
    ]


def _endpoints(requests: Sequence[RecordedRequest]) -> list[_Endpoint]:
    """Requests by shape, the commonest first."""
    shapes: defaultdict[_Shape, Counter[tuple[str, str]]] = defaultdict(Counter)
    for request in requests:
        shapes[_shape(request)][request.target, request.body] += 1
    endpoints = [_Endpoint(shape, found) for shape, found in shapes.items()]
    return sorted(endpoints, key=lambda e: -e.weight)


def _shape(request: RecordedRequest) -> _Shape:
    path = request.target.partition("?")[0]
    parts = ["*" if _is_value(part) else part for part in path.split("/")]
    return request.method, "/".join(parts), request.headers, bool(request.body)


def _is_value(part: str) -> bool:
    """Whether a part of a path tells one thing from another rather than what kind it is."""
    digits = sum(char.isdecimal() for char in part)
    coded = "%" in part or len(part) > LENGTH
    return coded or digits > DIGITS or (digits > 0 and digits == len(part))


def _tables(endpoint: _Endpoint, feeds: dict[str, str], stem: str) -> list[TrafficTable]:
    method, path, headers, has_body = endpoint.shape
    name = f"{method} {path}"
    if len(endpoint.requests) <= LITERAL and not any(
        columns_used(body) or "${" in body for _, body in endpoint.requests
    ):
        return [
            TrafficTable(
                name=name,
                request=f"{method} {target}",
                headers=headers,
                body=body,
                weight=weight,
            )
            for (target, body), weight in endpoint.requests.most_common()
        ]
    rows = [
        json_text({"path": target} | ({"body": text} if has_body else {}))
        for (target, text), n in endpoint.requests.items()
        for _ in range(n)
    ]
    feed = f"{stem}-{len(feeds) + 1}.jsonl"
    feeds[feed] = "".join(f"{row}\n" for row in rows)
    table = TrafficTable(
        name=name,
        request=f"{method} {{path:raw}}",
        headers=headers,
        body="{body:raw}" if has_body else "",
        weight=endpoint.weight,
        feed=feed,
    )
    return [table]
