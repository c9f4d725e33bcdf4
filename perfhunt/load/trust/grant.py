"""What a worker does for a master: nothing but what its own user allowed when it was started."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.errors import LoadFailed
from perfhunt.model.question import LoopKind, Question, RequestTemplate, Safety
from perfhunt.model.text.socket_url import socket_path
from perfhunt.model.traffic.connects import Peripheral, peripheral
from perfhunt.model.trial import Step
from perfhunt.model.units import PerSecond, Seconds, format_rate

# Of a whole step: two days at the default rate limit would be a gigabyte of schedule.
MOST_ARRIVALS = 50_000_000
MOST_WORKERS = 1024  # of one master
MOST_USERS = 10_000  # of one worker in a closed loop: each holds a descriptor
LONGEST: Seconds = 7 * 86_400.0  # of a step
LATEST: Seconds = 1.0  # after its first arrival: a step that comes later finds many due at once


@dataclass(frozen=True, slots=True)
class WorkerGrant:
    """What a master may ask of a worker. `hosts` are names, `*.names` and addresses; `files` may be
    folders. `this_machine`: load may go to loopback as well.

    Of the worker's environment nothing is ever read for a master: variables that a question names
    come with it, with the values that the master's user has for them.
    """

    hosts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    max_rate: PerSecond = Safety().max_rate
    this_machine: bool = False


def addresses_of(host: str) -> tuple[str, ...]:
    """Every address that a host resolves to here. Raises LoadFailed when it has none."""
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise LoadFailed(f"{host!r} does not resolve on the worker: {error}") from None
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in entries))


def cleared(
    grant: WorkerGrant,
    url: str,
    asked: Sequence[str] = (),
    resolve: Callable[[str], Sequence[str]] = addresses_of,
) -> tuple[str, ...]:
    """The addresses of the url's host that load may go to; where the master asked for some only,
    those of them. Raises LoadFailed when there is none.
    """
    if socket_path(url):
        raise LoadFailed(
            "the target is a unix socket, and workers of other hosts cannot reach it",
            "Leave --bind out, or let the service listen on a port.",
        )
    host = (urlsplit(url).hostname or "").rstrip(".")
    may = [address for address in resolve(host) if _allows(grant, host, address)]
    if not may:
        raise LoadFailed(
            f"this worker may not send load to {host!r}",
            f"If that is yours to load, start it with --allow-host {host}",
        )
    both = tuple(address for address in may if not asked or address in asked)
    if not both:
        raise LoadFailed(f"{host!r} has other addresses here than where the load was cleared")
    return both


def besides(
    grant: WorkerGrant,
    connects: Sequence[str],
    resolve: Callable[[str], Sequence[str]] = addresses_of,
) -> tuple[str, ...]:
    """Of the places that a locustfile may connect to besides the target, those of hosts that were
    allowed here, with the addresses that they have here; no unix sockets, which are this host's.
    """
    may: dict[str, None] = {}
    for place in filter(None, map(peripheral, connects)):
        known = _is_address(place.host) or any(_named(place.host, name) for name in grant.hosts)
        for address in resolve(place.host) if known else ():
            if _allows(grant, place.host, address):
                may |= dict.fromkeys((str(place), str(Peripheral(address, place.port))))
    return tuple(may)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _allows(grant: WorkerGrant, host: str, address: str) -> bool:
    plain = _plain(address)
    if any(_same(plain, allowed) for allowed in grant.hosts):
        return True
    if plain.is_loopback:  # whatever a name says that resolves to it
        return grant.this_machine or "localhost" in grant.hosts
    special = plain.is_link_local or plain.is_multicast or plain.is_unspecified
    return not special and any(_named(host, allowed) for allowed in grant.hosts)


def _plain(address: str) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does; else the address itself."""
    parsed = ip_address(address)
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _same(address: IPv4Address | IPv6Address, allowed: str) -> bool:
    try:
        return _plain(allowed.strip("[]")) == address
    except ValueError:
        return False


def _named(host: str, allowed: str) -> bool:
    host, allowed = host.lower(), allowed.lower().rstrip(".")
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def narrowed(grant: WorkerGrant, question: Question) -> Question:
    """The question with the files it names as they really are. Raises LoadFailed when one of them
    was not allowed; none is looked at before.
    """

    def allowed(path: str) -> str:
        real = Path(path).resolve()
        if any(real.is_relative_to(Path(may).resolve()) for may in grant.files):
            return str(real)
        raise LoadFailed(
            f"this worker may not read {path!r}",
            "If a master may have it read, and run if it is a locustfile,"
            f" start it with --allow-file {path}",
        )

    def of_allowed(each: RequestTemplate) -> RequestTemplate:
        return replace(
            each,
            feed=each.feed and replace(each.feed, path=allowed(each.feed.path)),
            parts=tuple(
                part.pinned(allowed(part.file.path), part.file.sha256) if part.file else part
                for part in each.parts
            ),
            then=tuple(map(of_allowed, each.then)),
        )

    traffic = tuple(map(of_allowed, question.traffic))
    locustfile = None if question.locustfile is None else allowed(question.locustfile)
    return replace(question, traffic=traffic, locustfile=locustfile)


def refuse_rate(grant: WorkerGrant, rate: PerSecond) -> None:
    """Raises LoadFailed for a rate above what this worker may send."""
    if not rate <= grant.max_rate:
        raise LoadFailed(
            f"this worker may send {format_rate(grant.max_rate)} at most, and its share of the"
            f" load can become {format_rate(rate)}",
            "Lower max_rate in [safety], take more workers, or start it with a higher --max-rate",
        )


def refuse_late(epoch: Seconds, now: Seconds) -> None:
    """Raises LoadFailed for a step whose arrivals have been due for long, all of which would be
    sent at once. Both are of the worker's own clock.
    """
    if now - epoch > LATEST:
        raise LoadFailed(f"a step came {now - epoch:.1f} s after its first arrival was due")


def has_users(question: Question) -> bool:
    """Whether it is asked in a closed loop, in which a step's "rate" is a number of users."""
    return question.locustfile is not None and question.ramp.loop is LoopKind.CLOSED


def refuse_users(users: float) -> None:
    """Raises LoadFailed for more users of a closed loop than one worker takes on."""
    if not users <= MOST_USERS:
        raise LoadFailed(
            f"a load worker takes on {MOST_USERS} users at most, and its share is {users:.0f}",
            "Take more workers, or a lower max in [ramp].",
        )


def refuse_step(step: Step, part: int, of: int, grace: Seconds, epoch: Seconds) -> None:
    """Raises LoadFailed for a share of a step that no master would ask for."""
    sound = (
        1 <= of <= MOST_WORKERS
        and 0 <= part < of
        and 0 <= step.rate * step.duration <= MOST_ARRIVALS
        and 0 <= step.duration <= LONGEST
        and all(map(math.isfinite, (step.rate, step.settle, epoch)))
        and grace >= 0
    )
    if not sound:
        raise LoadFailed(f"part {part} of {of} of {step} is no share of a load")
