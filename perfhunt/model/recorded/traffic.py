"""Recorded requests as the `[[traffic]]` of a test file: weights are counts, and requests that
differ only in their path, body or a header's value are one endpoint with a feed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.recorded.headers import of_one_request, secret_fields
from perfhunt.model.recorded.request import LeftOut, RecordedRequest
from perfhunt.model.recorded.table import TrafficTable, tables_toml
from perfhunt.model.testfile.template import is_template, variables_used
from perfhunt.model.text.escaping import json_text

ENDPOINTS = 40  # more are no mix that a person looks over; the rarest are left out, and it is said
LITERAL = 3  # requests of one shape that stand in the file one by one; more of them are a feed
SHOWN = 12  # names in a note: what fits a line or two
# A part of a path with more digits, or longer, tells one thing from another.
DIGITS, LENGTH = 2, 24
HERE = frozenset({"localhost", "127.0.0.1", "::1"})  # names of this host, which are one place
_PORTS = {"http": 80, "https": 443}
_Headers: TypeAlias = tuple[tuple[str, str], ...]
_Shape: TypeAlias = tuple[str, str, _Headers, bool]
_Place: TypeAlias = tuple[str, int]  # host ("": not recorded) and port


class RecordedTraffic(NamedTuple):
    """The `[[traffic]]` tables as TOML, the feeds beside the test file by name, the origin that
    they went to ("": not recorded), what was left out, as sentences, and lines for the `[slo]` that
    a person may choose.
    """

    toml: str
    feeds: Mapping[str, str]
    origin: str
    notes: tuple[str, ...]
    slo: tuple[str, ...] = ()


class _Sent(NamedTuple):
    """What differs between requests of one shape; `values` by the feed's column."""

    target: str
    body: str
    values: _Headers


@dataclass(slots=True)
class _Endpoint:
    shape: _Shape
    requests: Counter[_Sent]

    @property
    def weight(self) -> int:
        return self.requests.total()


def traffic_of(
    read: Iterable[RecordedRequest | LeftOut], stem: str, service: Collection[_Place] = ()
) -> RecordedTraffic:
    """The traffic of requests; feeds are named after `stem`. Of several places it is that of the
    `service`, which listens on these hosts and ports; where nothing went there, of a place with
    its port; else of the one that most requests went to. Raises Unreadable where there are none.
    """
    every, reasons = list[RecordedRequest](), Counter[str]()
    for each in read:
        if isinstance(each, LeftOut):
            reasons[each.why] += each.n
        else:
            every.append(each)
    notes = [f"{n} were left out: {why}." for why, n in reasons.most_common()]
    if not every:
        none = "no request that can be sent again was found"
        raise Unreadable("; ".join([none, *(note.rstrip(".") for note in notes)]))
    here, origin = _of_one_place(every, service, notes)
    endpoints = _endpoints(here)
    if rare := endpoints[ENDPOINTS:]:
        n = sum(endpoint.weight for endpoint in rare)
        notes.append(f"{len(rare)} rare kinds of request ({n} of {len(here)}) were left out.")
    tables, feeds = list[TrafficTable](), dict[str, str]()
    for endpoint in endpoints[:ENDPOINTS]:
        tables += _tables(endpoint, feeds, stem)
    notes += _told(here)
    notes += exports(tables)
    notes += _joined(here)
    return RecordedTraffic(tables_toml(tables), feeds, origin, tuple(notes))


def place_of(origin: str) -> _Place:
    """Host and port of an origin, this host by one name; ("", 0) of none."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return ("localhost" if host in HERE else host), port


def _of_one_place(
    every: Sequence[RecordedRequest], service: Collection[_Place], notes: list[str]
) -> tuple[list[RecordedRequest], str]:
    """The requests that are written down, and their origin."""
    counts = Counter(place_of(request.origin) for request in every)
    own = {("localhost" if host in HERE else host, port) for host, port in service}
    ports = {port for _, port in own}
    alike = [place for place in counts if place[1] in ports] or [*counts]
    chosen = counts.keys() & own or {max(alike, key=counts.__getitem__)}
    if own:
        chosen |= {("", 0)}  # a path alone was asked of the service
    here = [request for request in every if place_of(request.origin) in chosen]
    origins = Counter(request.origin for request in here if request.origin)
    origin = origins.most_common(1)[0][0] if origins else ""
    if origin and own and place_of(origin) not in own:
        said = ", ".join(f"port {port}" for port in sorted(ports) if port) or "the socket"
        notes.append(f"None went to {said} of this host: these went to {origin}.")
    if len(here) < len(every):
        left = [request.origin for request in every if place_of(request.origin) not in chosen]
        others = [name or "no host" for name, _ in Counter(left).most_common(3)]
        notes.append(
            f"{len(left)} of {len(every)} requests went to other places ({', '.join(others)})"
            " and were left out."
        )
    return here, origin


def _told(requests: Sequence[RecordedRequest]) -> Iterator[str]:
    """What differs from what was recorded, and what may be secret in it."""
    remarks = Counter(remark for request in requests for remark in request.remarks)
    yield from remarks
    dropped = Counter(
        name.lower() for request in requests for name in dict.fromkeys(request.dropped)
    )
    for ours, why in ((False, "that a browser or proxy adds"), (True, "that name one request")):
        if names := [name for name, _ in dropped.most_common() if of_one_request(name) is ours]:
            counts = _some([f"{name} {dropped[name]}" for name in names])
            yield f"Headers {why} were left out (in so many requests): {counts}."
    fields = Counter(
        name
        for request in requests
        for name in dict.fromkeys(secret_fields(request.target, request.body))
    )
    if fields:
        yield (
            "Queries or bodies hold what may be secret, and stand as they were recorded:"
            f" {_some([name for name, _ in fields.most_common()])}."
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


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


def _joined(requests: Sequence[RecordedRequest]) -> Iterator[str]:
    """The variables that stand for several values."""
    seen: defaultdict[str, set[int]] = defaultdict(set)
    for request in requests:
        for name, number in request.hidden:
            seen[name].add(number)
    for name, numbers in sorted(seen.items()):
        if (n := len(numbers)) > 1:
            yield f"{name} stands for {n} different values: one is sent with every request."


def _endpoints(requests: Sequence[RecordedRequest]) -> list[_Endpoint]:
    """Requests by shape, the commonest first."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for request in requests:
        for name, value in request.headers:
            values[name].add(value)
    varying = {name for name, found in values.items() if len(found) > LITERAL}
    shapes: defaultdict[_Shape, Counter[_Sent]] = defaultdict(Counter)
    for request in requests:
        path = request.target.partition("?")[0]
        parts = ["*" if _is_value(part) else part for part in path.split("/")]
        headers, fed = list[tuple[str, str]](), list[tuple[str, str]]()
        for name, value in request.headers:
            if name in varying and not variables_used(value):  # a feed's values are no templates
                fed.append((_column(name), value))
                value = f"{{{_column(name)}:raw}}"
            headers.append((name, value))
        shape = request.method, "/".join(parts), tuple(headers), bool(request.body)
        shapes[shape][_Sent(request.target, request.body, tuple(fed))] += 1
    endpoints = [_Endpoint(shape, found) for shape, found in shapes.items()]
    return sorted(endpoints, key=lambda e: -e.weight)


def _column(header: str) -> str:
    """The column of a feed that a header's value is in."""
    return "header_" + re.sub(r"[^a-z0-9]", "_", header.lower())


def _is_value(part: str) -> bool:
    """Whether a part of a path tells one thing from another rather than what kind it is, or is not
    to be seen in a name.
    """
    digits = sum(char.isdecimal() for char in part)
    coded = "%" in part or len(part) > LENGTH
    hidden = redact.url(f"/{part}") != f"/{part}"
    return coded or hidden or digits > DIGITS or (digits > 0 and digits == len(part))


def _tables(endpoint: _Endpoint, feeds: dict[str, str], stem: str) -> list[TrafficTable]:
    method, path, headers, has_body = endpoint.shape
    name = f"{method} {path}"
    if len(endpoint.requests) <= LITERAL and not any(
        is_template(sent.target) or is_template(sent.body) for sent in endpoint.requests
    ):
        return [
            TrafficTable(
                name=name,
                request=f"{method} {sent.target}",
                headers=_filled(headers, sent),
                body=sent.body,
                weight=weight,
            )
            for sent, weight in endpoint.requests.most_common()
        ]
    rows = [
        json_text(
            {"path": sent.target} | ({"body": sent.body} if has_body else {}) | dict(sent.values)
        )
        for sent, n in endpoint.requests.items()
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


def _filled(headers: _Headers, sent: _Sent) -> _Headers:
    places = {f"{{{column}:raw}}": value for column, value in sent.values}
    return tuple((name, places.get(value, value)) for name, value in headers)
