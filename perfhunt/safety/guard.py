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
from perfhunt.model.question import Question, Safety, TargetEnvironment
from perfhunt.model.text.socket_url import socket_path
from perfhunt.model.traffic.connects import Peripheral, peripheral
from perfhunt.model.units import PerSecond, format_rate

# In CI this variable holds "host:YYYY-MM-DD": consent for that host on that day (UTC).
TOKEN = "PERFHUNT_PRODUCTION_OK"
_CONNECTS = 'Write for example locustfile_connects = ["db.internal:5432"]'
_SHOWN = 3  # addresses of a host that a message repeats
_PRODUCTION_LABEL = re.compile(r"prod|prd|production|live|www")
_NAMED_OTHERWISE = re.compile(
    r"staging|stage|stg|dev|test|testing|qa|uat|preview|sandbox|local|ci|demo|nonprod|preprod"
)
# Endings that are sold to anybody (the IANA root zone), or that every host of a cluster or an
# office has: they say nothing of what a host is for.
_SILENT_ENDINGS = frozenset({"dev", "qa", "ci", "live", "local"})
# Endings that no public name has (RFC 2606, RFC 6761, RFC 6762 appendix G, ICANN 2024): below them
# nothing was registered by anybody, so every label was chosen by whoever runs the host.
_PRIVATE_ENDINGS = frozenset(
    [
        "test",
        "localhost",
        "local",
        "internal",
        "intranet",
        "private",
        "corp",
        "home",
        "lan",
        "localdomain",
    ]
)
# `example.co.uk`: the registered name is the third from the end.
_SECOND_LEVEL = frozenset(
    ["ac", "co", "com", "edu", "gob", "gov", "gouv", "mil", "ne", "net", "nom", "or", "org"]
)

IpAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Clearance:
    """Load may go to these addresses and nowhere else, whatever the name resolves to later; or to a
    unix socket, which is this host's and has a `path` and no address. What a locustfile connects to
    besides is in `connects` (`model.traffic.connects`): the names, and the addresses they have.
    `guess` is what was made of the host's name, as a sentence; "" when there was nothing to guess.
    """

    port: int
    addresses: tuple[str, ...]
    connects: tuple[str, ...] = ()
    guess: str = ""
    path: str = ""


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
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetNotFound(
            f"the host {host} does not resolve ({error})", "Check target.url, or give --url"
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in entries))


def clear(question: Question, consent: Consent, resolve: Resolve = resolve) -> Clearance:
    """The addresses that load may be sent to. Sends nothing to the target itself.

    Raises UnsafeTarget (exit 93) with what to write in [safety] when it may not be sent;
    TargetNotFound (exit 2) when the host does not resolve; UsageError (exit 2) when there is no url
    yet.
    """
    path = socket_path(question.target.url)
    host, port = ("localhost", 0) if path else _host(question.target.url)
    addresses = () if path else resolve(host, port)
    parsed = [ip_address(text) for text in addresses]
    for address in parsed:
        _refuse_special(host, address)
    guess = ""
    if not all(_is_loopback(address) for address in parsed):
        _check_allowed(host, addresses, question.safety)
        _check_declared(host, question.target.environment)
        guess = guessed(host, question.target.environment)
    connects = _clear_connects(question.locustfile_connects, resolve)
    check_rate(question, question.slo.at_load or 0.0)
    if question.target.environment == TargetEnvironment.PRODUCTION:
        _check_production(host, question.safety, consent)
    return Clearance(port=port, addresses=addresses, connects=connects, guess=guess, path=path)


def _clear_connects(texts: tuple[str, ...], resolve: Resolve) -> tuple[str, ...]:
    """The places beside the target, with every address of each. Refused like a target where they
    are no service's.
    """
    places: list[Peripheral] = []
    for text in texts:
        place = peripheral(text)
        if place is None:
            raise UsageError(f"locustfile_connects: {text!r} is no place to connect to", _CONNECTS)
        places.append(place)
        if place.path:
            continue
        try:
            addresses = resolve(place.host, place.port)
        except TargetNotFound as error:
            raise TargetNotFound(f"locustfile_connects: {error.message}", _CONNECTS) from None
        for address in addresses:
            _refuse_special(place.host, ip_address(address))
            places.append(Peripheral(address, place.port))
    return tuple(dict.fromkeys(map(str, places)))


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
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.hostname.lower().rstrip("."), port


def _plain(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one stands for, where it does; else the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_loopback(address: IpAddress) -> bool:
    return _plain(address).is_loopback


def _refuse_special(host: str, address: IpAddress) -> None:
    """Addresses no service under test has: everyone's, nobody's, the cloud's metadata service."""
    plain = _plain(address)
    if plain.is_unspecified:
        raise UnsafeTarget(
            f"{host} is {plain}, which names every interface and no host",
            "Write 127.0.0.1 in target.url",
        )
    if plain.is_multicast or plain.is_link_local or str(plain) == "255.255.255.255":
        cloud = "link-local (cloud metadata lives there)"
        kind = cloud if plain.is_link_local else "multicast or broadcast"
        raise UnsafeTarget(
            f"{host} is {plain}, which is {kind}; load is never sent there",
            "Name the service's own address",
        )


def _check_allowed(host: str, addresses: tuple[str, ...], safety: Safety) -> None:
    if any(_matches(host, allowed) for allowed in safety.allow_hosts):
        return

    def listed(address: str) -> bool:
        return any(_same_address(address, allowed) for allowed in safety.allow_hosts)

    if all(map(listed, addresses)):
        return
    shown = ", ".join(addresses[:_SHOWN])
    raise UnsafeTarget(
        f"{host} ({shown}) is not this machine and is not in safety.allow_hosts; nothing was sent",
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
    words = words_of(host)
    return "" if words.otherwise else words.production


@dataclass(frozen=True, slots=True)
class NameWords:
    """The parts of a host's name that say what it is for: production, or something else; "" where
    none does. `ending` is its ending where that only looks as if it did.
    """

    production: str = ""
    otherwise: str = ""
    ending: str = ""


def words_of(host: str) -> NameWords:
    """What a host's name says, which its ending does not, nor, of being anything else than
    production, the name that was registered: `www.shop.dev` and `www.dev.to` are no test hosts.
    """
    labels = host.lower().rstrip(".").split(".")
    silent = len(labels) > 1 and labels[-1] in _SILENT_ENDINGS
    named = labels[:-1] if silent else labels
    return NameWords(
        production=_said(_PRODUCTION_LABEL, named),
        otherwise=_said(_NAMED_OTHERWISE, named[: _chosen(labels)]),
        ending=labels[-1] if silent else "",
    )


def _chosen(labels: list[str]) -> int:
    """How many labels of a name its owner chose freely, from the left."""
    last = labels[-1]
    if len(labels) == 1 or last in _PRIVATE_ENDINGS:
        return len(labels)
    if _NAMED_OTHERWISE.fullmatch(last) and last not in _SILENT_ENDINGS:
        return len(labels)  # `shop.staging`: no such ending is public
    second = len(last) == 2 and len(labels) > 2 and labels[-2] in _SECOND_LEVEL
    return len(labels) - (3 if second else 2)


def _said(pattern: re.Pattern[str], labels: list[str]) -> str:
    """The first part of the labels that the pattern is of, whatever number it has: `prod2`."""
    pieces = [piece for label in labels for piece in re.split(r"[-_]", label)]
    return next((p for p in pieces if pattern.fullmatch(re.sub(r"\d+$", "", p))), "")


def guessed(host: str, environment: TargetEnvironment) -> str:
    """What was made of a name that can be read in two ways, as a sentence; "" for any other."""
    words = words_of(host)
    taken = f'it is taken for what target.environment says, "{environment}"'
    if environment == TargetEnvironment.PRODUCTION:
        return ""
    if words.otherwise and words.production:
        return f'{host} has "{words.production}" and "{words.otherwise}" in its name: {taken}'
    if words.ending and not words.otherwise:
        return f"{host} ends in .{words.ending}, which says nothing of what it is for: {taken}"
    return ""


def _check_declared(host: str, environment: TargetEnvironment) -> None:
    if environment == TargetEnvironment.LOCAL:
        raise UnsafeTarget(
            f'{host} is not this machine, but target.environment says "local"',
            'Say what it is: environment = "ci", "staging" or "production" in [target]',
        )
    part = looks_like_production(host)
    if part and environment != TargetEnvironment.PRODUCTION:
        ending = words_of(host).ending
        silent = f"; its ending, .{ending}, says nothing" if ending else ""
        raise UnsafeTarget(
            f'{host} looks like production ("{part}" is in its name{silent}), but'
            f' target.environment says "{environment}"',
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
    token = f"{host}:{consent.today.isoformat()}"
    if consent.env.get(TOKEN) == token:
        return
    if consent.confirm is None:
        raise UnsafeTarget(
            f"{host} is production, and nobody confirmed it",
            f"In CI, for today only: export {TOKEN}={token}",
        )
    typed = consent.confirm(
        f"This sends load to production. Type the host name ({host}) to go on: "
    )
    if typed.strip().lower() != host:
        raise UnsafeTarget(
            f"{host} is production, and what was typed is not its name; nothing was sent",
            "Run again to try again.",
        )
