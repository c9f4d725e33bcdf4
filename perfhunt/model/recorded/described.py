"""Requests that were written down (a description of an API, a script) as the `[[traffic]]` of a
test file: each of them one table, with what a person has to finish.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfhunt.errors import Unreadable
from perfhunt.model.recorded.request import LeftOut, RecordedRequest
from perfhunt.model.recorded.table import NONE_CHOSEN, TrafficTable, tables_toml
from perfhunt.model.recorded.traffic import ENDPOINTS, RecordedTraffic, exports
from perfhunt.model.testfile.template import columns_used
from perfhunt.model.text.escaping import json_text, visible

NAMED = 12  # requests that a note names one by one, which is what a person reads of a line
_MANY = "more than a person looks over"


@dataclass(frozen=True, slots=True)
class DescribedRequest:
    """A request that was written down. `asleep` says why it is written as a comment ("": it is to
    be sent), `columns` what of a sleeping one has to come from a feed that is not there yet.
    `invented` are the values that are not from what was read: `{petId} = 1`.
    """

    name: str
    request: RecordedRequest
    statuses: tuple[int, ...] = ()
    invented: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    asleep: str = ""
    columns: tuple[str, ...] = ()
    template: bool = False
    place: str = ""


def described_traffic(
    read: Iterable[DescribedRequest | LeftOut],
    stem: str,
    notes: Sequence[str] = (),
    slo: Sequence[str] = (),
) -> RecordedTraffic:
    """The traffic of requests in their order; more than ENDPOINTS are not sent at once: those whose
    values are all known come first. Raises Unreadable where there are none.
    """
    every, reasons = list[DescribedRequest](), defaultdict[str, list[str]](list)
    for each in read:
        if isinstance(each, LeftOut):
            reasons[each.why].append(each.what)
        else:
            every.append(each)
    left_out = [_named(f"left out: {why}", names) for why, names in reasons.items()]
    if not every:
        raise Unreadable(" ".join(["no request that could be sent was found.", *left_out]))
    awake = [n for n, each in enumerate(every) if not each.asleep]
    awake = sorted(awake, key=lambda n: bool(every[n].invented))[:ENDPOINTS]
    tables, feeds, sleeping = (
        list[TrafficTable](),
        dict[str, str](),
        defaultdict[str, list[str]](list),
    )
    for n, each in enumerate(every):
        if n not in awake:
            sleeping[each.asleep or _MANY].append(f"{each.place} {each.name}".lstrip())
        tables.append(_table(each, n in awake, feeds, stem))
    sent = [each for n, each in enumerate(every) if n in awake]
    found = [f"{len(sent)} of {len(every)} requests are sent as the file stands."]
    found += [_named(f"in the file as comments: {why}", names) for why, names in sleeping.items()]
    if invented := [each.name for each in sent if each.invented]:
        found.append(
            _named("with values that nobody gave (`invented`): put in ones that exist", invented)
        )
    chosen = "" if sent else f"{NONE_CHOSEN}\n"
    return RecordedTraffic(
        toml=chosen + tables_toml(tables),
        feeds=feeds,
        origin=next((each.request.origin for each in every if each.request.origin), ""),
        notes=(*found, *left_out, *exports(t for t in tables if not t.asleep), *notes),
        slo=tuple(slo),
    )


def _named(what: str, names: Sequence[str]) -> str:
    """`3 in the file as comments: they change state (POST /pets, …)`."""
    shown = [visible(name) for name in names if name][:NAMED]
    more = [f"and {len(names) - len(shown)} more"] if shown and len(names) > len(shown) else []
    return f"{len(names)} {what}" + (f" ({', '.join([*shown, *more])})" if shown else "") + "."


def _table(each: DescribedRequest, awake: bool, feeds: dict[str, str], stem: str) -> TrafficTable:
    request, remarks = each.request, [*filter(None, [each.place]), *each.remarks]
    body, feed = request.body, ""
    if each.asleep:
        remarks.insert(0, f"Not sent: {each.asleep}.")
    if each.columns:
        feed = f"{stem}-rows.csv"
        remarks.append(f"{feed} is yours to write, with {', '.join(each.columns)} as columns.")
    elif not each.template and (columns_used(body) or "${" in body):
        feed = f"{stem}-{len(feeds) + 1}.jsonl"
        feeds[feed] = f"{json_text({'body': body})}\n"
        body = "{body:raw}"
    if each.invented:
        more = len(each.invented) - NAMED
        listed = [*each.invented[:NAMED], *([f"and {more} more"] if more > 0 else [])]
        remarks.append(f"invented: {', '.join(listed)}")
    return TrafficTable(
        name=visible(each.name).strip() or request.method,
        request=f"{request.method} {request.target}",
        headers=request.headers,
        body=body,
        feed=feed,
        statuses=each.statuses,
        remarks=tuple(remarks),
        asleep=not awake,
    )
