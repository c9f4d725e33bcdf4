"""Whether load may be sent there at all: decided before anything is, on resolved addresses that are
then kept for the run.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from perfhunt.errors import TargetNotFound, UnsafeTarget, UsageError
from perfhunt.model.question import Question, Safety
from perfhunt.model.units import PerSecond, format_rate

TOKEN = "PERFHUNT_PRODUCTION_OK"  # in CI: "host:YYYY-MM-DD", good for that host on that day (UTC)

_PRODUCTION_LABEL = re.compile(r"prod|prd|production|live|www")
_NAMED_OTHERWISE = re.compile(
    r"staging|stage|stg|dev|test|testing|qa|uat|preview|sandbox|local|ci|demo|nonprod|preprod"
)

IpAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Cleared:
    """Load may go to these addresses and nowhere else, whatever the name resolves to later."""

    url: str
    host: str
    port: int
    addresses: tuple[str, ...]
    loopback: bool


@dataclass(frozen=True, slots=True)
class Consent:
    """How a person agrees to load on production: `confirm` asks for the host's name and returns
    what was typed (None: no terminal to ask on), `env` may carry the CI token, `today` is the date
    in UTC. `switch_works` is the reason the killswitch failed its test, or "" (`killswitch.test`).
    """

    env: Mapping[str, str]
    today: date
    confirm: Callable[[str], str] | None = None
    switch_works: Callable[[], str] = lambda: ""


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Every address of a host, each once. Raises TargetNotFound when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetNotFound(
            f"the host {host} does not resolve ({error})", "Check target.url, or give --url"
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def clear(question: Question, consent: Consent, resolve: Resolve = resolve) -> Cleared:
    """The addresses that load may be sent to. Sends nothing to the target itself.

    Raises UnsafeTarget (exit 93) with what to write in [safety] when it may not be sent;
    TargetNotFound (exit 2) when the host does not resolve; UsageError (exit 2) when there is no url
    yet.
    """
    host, port = _host(question.target.url)
    addresses = resolve(host, port)
    parsed = [ip_address(text) for text in addresses]
    loopback = all(_is_loopback(one) for one in parsed)
    for one in parsed:
        _refuse_special(host, one)
    if not loopback:
        _check_allowed(host, addresses, question.safety)
        _check_declared(host, question.target.environment)
    check_rate(question, question.slo.at_load or 0.0)
    if question.target.environment == "production":
        _check_production(host, question.safety, consent)
    return Cleared(question.target.url, host, port, addresses, loopback)


def check_rate(question: Question, rate: PerSecond) -> None:
    """Raises UnsafeTarget (exit 93) for a rate above `safety.max_rate`."""
    if rate > question.safety.max_rate:
        allowed = format_rate(question.safety.max_rate)
        raise UnsafeTarget(
            f"{format_rate(rate)} is above safety.max_rate ({allowed})",
            "Lower the rate, or raise max_rate in [safety]",
        )


def _host(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if not parts.hostname:
        raise UsageError(
            "there is no url to send load to",
            "Give --url http://127.0.0.1:8000, or url in [target]",
        )
    return parts.hostname.lower().rstrip("."), parts.port or (
        443 if parts.scheme == "https" else 80
    )


def _is_loopback(one: IpAddress) -> bool:
    mapped = one.ipv4_mapped if isinstance(one, IPv6Address) else None
    return (mapped or one).is_loopback


def _refuse_special(host: str, one: IpAddress) -> None:
    """Addresses no service under test has: everyone's, nobody's, and the cloud's metadata
    service.
    """
    plain = (one.ipv4_mapped if isinstance(one, IPv6Address) else None) or one
    if plain.is_unspecified:
        raise UnsafeTarget(
            f"{host} is {plain}, which names every interface and no host",
            "Write 127.0.0.1 in target.url",
        )
    if plain.is_multicast or plain.is_link_local or str(plain) == "255.255.255.255":
        kind = (
            "multicast or broadcast"
            if not plain.is_link_local
            else "link-local (cloud metadata lives there)"
        )
        raise UnsafeTarget(
            f"{host} is {plain}, which is {kind}; load is never sent there",
            "Name the service's own address",
        )


def _check_allowed(host: str, addresses: tuple[str, ...], safety: Safety) -> None:
    if any(_matches(host, allowed) for allowed in safety.allow_hosts):
        return
    if all(
        any(_same_address(address, allowed) for allowed in safety.allow_hosts)
        for address in addresses
    ):
        return
    listed = ", ".join(addresses[:3])
    raise UnsafeTarget(
        f"{host} ({listed}) is not this machine and is not in safety.allow_hosts; nothing was sent",
        f'If that service is yours to load, write allow_hosts = ["{host}"] in [safety]',
    )


def _matches(host: str, allowed: str) -> bool:
    allowed = allowed.lower().strip("[]").rstrip(".")
    # "localhost" allows this machine, not whatever a hosts file makes of the name: a loopback
    # address never gets here.
    if allowed == "localhost":
        return False
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _same_address(address: str, allowed: str) -> bool:
    try:
        return ip_address(address) == ip_address(allowed.strip("[]"))
    except ValueError:
        return False


def looks_like_production(host: str) -> str:
    """The part of a host's name that says production, or ""; `preprod` and
    `www.staging.example.com` do not say so.
    """
    labels = [piece for label in host.split(".") for piece in re.split(r"[-_]", label)]
    if any(_NAMED_OTHERWISE.fullmatch(re.sub(r"\d+$", "", piece)) for piece in labels):
        return ""
    return next(
        (piece for piece in labels if _PRODUCTION_LABEL.fullmatch(re.sub(r"\d+$", "", piece))), ""
    )


def _check_declared(host: str, environment: str) -> None:
    if environment == "local":
        raise UnsafeTarget(
            f'{host} is not this machine, but target.environment says "local"',
            'Say what it is: environment = "ci", "staging" or "production" in [target]',
        )
    part = looks_like_production(host)
    if part and environment != "production":
        raise UnsafeTarget(
            f'{host} looks like production ("{part}" is in its name), but target.environment says'
            f' "{environment}"',
            'Say environment = "production" in [target], with comms and a killswitch in [safety];'
            " or load a copy",
        )


def _check_production(host: str, safety: Safety, consent: Consent) -> None:
    default = Safety()
    missing: list[str] = []
    if not safety.comms.strip():
        missing.append('comms = "where people were told, and the ticket"')
    if not safety.killswitch.file and not safety.killswitch.url:
        missing.append('killswitch = { file = ".perfhunt/stop", url = "https://..." }')
    if safety.max_rate == default.max_rate:
        missing.append('max_rate = "..." (the default is for a local service)')
    if safety.max_duration == default.max_duration:
        missing.append('max_duration = "..." (the default is for a local service)')
    if missing:
        raise UnsafeTarget(
            f"{host} is production, and [safety] does not say enough",
            "Write there: " + "; ".join(missing),
        )
    if broken := consent.switch_works():
        raise UnsafeTarget(
            f"the killswitch failed its test: {broken}",
            "Mend it before any load is sent to production.",
        )
    _check_consent(host, consent)


def _check_consent(host: str, consent: Consent) -> None:
    wanted = f"{host}:{consent.today.isoformat()}"
    if consent.env.get(TOKEN) == wanted:
        return
    if consent.confirm is None:
        raise UnsafeTarget(
            f"{host} is production, and nobody confirmed it",
            f"In CI, for today only: export {TOKEN}={wanted}",
        )
    typed = consent.confirm(
        f"This sends load to production. Type the host name ({host}) to go on: "
    )
    if typed.strip().lower() != host:
        raise UnsafeTarget(
            f"{host} is production, and what was typed is not its name; nothing was sent",
            "Run again to try again.",
        )
