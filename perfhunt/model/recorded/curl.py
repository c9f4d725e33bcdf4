"""Command lines of curl, as browsers and documentation give them ("Copy as cURL")."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.recorded.request import MOST, RecordedRequest, recorded

_FORM = "application/x-www-form-urlencoded"
_LONG = {
    "-X": "--request",
    "-H": "--header",
    "-d": "--data",
    "-b": "--cookie",
    "-u": "--user",
    "-A": "--user-agent",
    "-e": "--referer",
    "-G": "--get",
    "-I": "--head",
    "-o": "--output",
    "-m": "--max-time",
    "-x": "--proxy",
    "-w": "--write-out",
}
_DATA = ("--data", "--data-raw", "--data-ascii", "--data-binary", "--data-urlencode", "--json")
# Options with a value that say nothing of what is sent.
_ASIDE = frozenset(
    {
        *("--output", "--max-time", "--connect-timeout", "--proxy", "--write-out", "--retry"),
        *("--user-agent", "--referer", "--cacert", "--resolve", "--interface", "--max-redirs"),
    }
)
_FLAGS = frozenset(
    {
        *("--compressed", "--insecure", "--location", "--silent", "--show-error", "--include"),
        *("--verbose", "--fail", "--fail-with-body", "--globoff", "--http1.1", "--http2"),
        *("--no-buffer", "--no-progress-meter", "--path-as-is"),
    }
)
_SHORT_FLAGS = frozenset("kLsSivfgN0")
_BETWEEN = frozenset({"&", "&&", ";", "|"})


@dataclass(slots=True)
class _Command:
    method: str = ""
    url: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    in_query: bool = False
    json: bool = False


def read_curl(text: str) -> Iterator[RecordedRequest]:
    """The requests of one command or more. Raises Unreadable for an option that is not known: it
    might change what is sent.
    """
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ").replace("$'", "'")
    try:
        lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
    except ValueError as error:
        raise Unreadable(f"the curl command: {error}") from None
    allowed = Allowance(MOST, "requests", "the curl commands")
    number = 0
    for words in lines:
        for command in _commands(words):
            number += 1
            allowed.take()
            yield _request(command, f"curl command {number}")


def _commands(words: list[str]) -> Iterator[list[str]]:
    """The commands of a line, each without its name."""
    command: list[str] = []
    parted = [part for word in words for part in _parted(word)]
    for word in (*parted, ";"):
        if word not in _BETWEEN:
            command.append(word)
        elif command:
            if command[0] != "curl":
                raise Unreadable(f"{command[0][:40]!r} is no curl command")
            yield command[1:]
            command = []


def _parted(word: str) -> list[str]:
    """A separator may stand right behind a word."""
    return [word[:-1], ";"] if word.endswith(";") and len(word) > 1 else [word]


def _request(words: list[str], where: str) -> RecordedRequest:
    command = _Command()
    rest = iter(words)
    for word in rest:
        _take(command, word, rest, where)
    if not command.url:
        raise Unreadable(f"{where}: no url")
    body, url = "&".join(command.data), command.url
    if command.in_query and body:
        url, body = f"{url}{'&' if '?' in url else '?'}{body}", ""
    named = {name.lower() for name, _ in command.headers}
    if body and "content-type" not in named:
        kind = "application/json" if command.json else _FORM
        command.headers.append(("Content-Type", kind))
    method = command.method or ("POST" if body else "GET")
    return recorded(method, url if "://" in url else f"http://{url}", command.headers, body, where)


def _take(command: _Command, word: str, rest: Iterator[str], where: str) -> None:
    """One option with its value, or the url."""
    if not word.startswith("-") or word == "-":
        command.url = word
        return
    name, value = _option(word)
    if name in _FLAGS or (word[1:2] != "-" and set(word[1:]) <= _SHORT_FLAGS):
        return
    if name == "--get":
        command.in_query = True
        return
    if name == "--head":
        command.method = "HEAD"
        return
    value = next(rest, None) if value is None else value
    if value is None:
        raise Unreadable(f"{where}: {name} has no value")
    if name == "--request":
        command.method = value
    elif name == "--url":
        command.url = value
    elif name in ("--header", "--cookie", "--user"):
        command.headers.append(_header(name, value))
    elif name in _DATA:
        command.json = command.json or name == "--json"
        command.data.append(_data(name, value, where))
    elif name not in _ASIDE:
        raise Unreadable(f"{where}: the option {name} is not known here")


def _option(word: str) -> tuple[str, str | None]:
    """Its long name, and a value that is joined to it."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return _LONG.get(word[:2], word[:2]), word[2:] or None


def _header(option: str, value: str) -> tuple[str, str]:
    if option == "--cookie":
        return "Cookie", value
    if option == "--user":
        return "Authorization", value
    name, _, content = value.partition(":")
    return name.strip(), content.strip()


def _data(option: str, value: str, where: str) -> str:
    if value.startswith("@") and option != "--data-raw":
        raise Unreadable(f"{where}: the body is in the file {value[1:][:60]!r}: put its text here")
    if option != "--data-urlencode":
        return value
    name, equals, content = value.partition("=")
    return f"{name}={quote_plus(content)}" if equals else quote_plus(value)
