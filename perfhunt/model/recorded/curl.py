"""Command lines of curl, as browsers and documentation give them ("Copy as cURL")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.recorded.request import AS_BASIC, MOST, RecordedRequest, basic, recorded
from perfhunt.model.recorded.shell_words import ShellWord, shell_words

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
# What curl says to --compressed when it is built with every coding.
_CODINGS = "deflate, gzip, br, zstd"
_SHORT = {
    "X": "--request",
    "H": "--header",
    "d": "--data",
    "b": "--cookie",
    "u": "--user",
    "A": "--user-agent",
    "e": "--referer",
    "G": "--get",
    "I": "--head",
    "o": "--output",
    "m": "--max-time",
    "x": "--proxy",
    "w": "--write-out",
    "c": "--cookie-jar",
    ":": "--next",
    "D": "--dump-header",
    "E": "--cert",
    "g": "--globoff",
}
_DATA = ("--data", "--data-raw", "--data-ascii", "--data-binary", "--data-urlencode", "--json")
# Options with a value that say nothing of what is sent.
_ASIDE = frozenset(
    {
        *("--output", "--max-time", "--connect-timeout", "--proxy", "--write-out", "--retry"),
        *("--cacert", "--resolve", "--interface", "--max-redirs", "--cookie-jar", "--dump-header"),
        *("--retry-delay", "--retry-max-time", "--cert", "--key", "--noproxy", "--stderr"),
        *("--output-dir", "--limit-rate", "--keepalive-time", "--max-filesize"),
    }
)
_FLAGS = frozenset(
    {
        *("--insecure", "--location", "--silent", "--show-error", "--include", "--progress-bar"),
        *("--verbose", "--fail", "--fail-with-body", "--http1.1", "--http2", "--basic"),
        *("--no-buffer", "--no-progress-meter", "--remote-name", "--create-dirs", "--parallel"),
        *("--ssl-no-revoke", "--tcp-nodelay", "--ipv4", "--ipv6", "--tlsv1.2", "--tlsv1.3"),
    }
)
_SHORT_FLAGS = frozenset("kLsSivfN0#O46JZ")
# Those whose values are headers, where a test file has `${NAME}`, too.
_IN_HEADERS = ("--header", "--cookie", "--user", "--oauth2-bearer")
_NAMES = ("curl", "curl.exe")
_REDIRECTS = re.compile(r"[\d&<>|]*[<>][<>&|]*")
# What curl itself adds, and a test file cannot leave out.
_OURS = {"accept": "Accept: */*", "host": "a Host", "user-agent": "a User-Agent"}
_GLOB = re.compile(r"(?<!\\)[\[\]{}]")
_ADDRESS = re.compile(r"(?:[a-z]+://)?(?:[^/@]*@)?\[[0-9a-f:.%]+\]", re.IGNORECASE)


@dataclass(slots=True)
class _Command:
    """One request, or one to each of its urls."""

    method: str = ""
    urls: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    cookies: list[str] = field(default_factory=list)
    body: str | None = None
    flags: set[str] = field(default_factory=set)
    user: str = ""


def read_curl(text: str) -> Iterator[RecordedRequest]:
    """The requests of one command or more; what their output is piped to is no concern. Raises
    Unreadable for an option that is not known: it might change what is sent.
    """
    allowed = Allowance(MOST, "requests", "the curl commands")
    number = 0
    try:
        for words in _commands(shell_words(text)):
            number += 1
            where = f"curl command {number}"
            for command in _parsed(words, where):
                for request in _requests(command, where):
                    allowed.take()
                    yield request
    except Unreadable as error:
        if error.message.startswith("curl command"):
            raise
        raise Unreadable(f"curl command {number + 1}: {error.message}", error.hint) from None
    if not number:
        raise Unreadable("there is no curl command", "Write it in quotes: --from-curl 'curl …'")


def _commands(words: Iterable[ShellWord]) -> Iterator[list[ShellWord]]:
    """The commands of curl, each without its name, its redirections and what follows a pipe."""
    command: list[ShellWord] = []
    piped = redirected = False
    for word in (*words, ShellWord("\n", operator=True)):
        if redirected and not word.operator:
            redirected = False
        elif not word.operator:
            if command or word.text != "$":  # the prompt of an example
                command.append(word)
        elif word.text[-2:] in ("<<", "<(") or word.text in ("(", ")"):
            raise Unreadable(f"{word.text!r} is for a shell to work out", "Write curl's own words.")
        elif _REDIRECTS.fullmatch(word.text):
            redirected = True
        else:
            if command and not piped:
                yield _named(command)
            if command or word.text != "\n":
                piped = word.text in ("|", "|&")
            command, redirected = [], False


def _named(command: list[ShellWord]) -> list[ShellWord]:
    if command[0].text.rpartition("/")[2] not in _NAMES:
        raise Unreadable(f"{command[0].text[:40]!r} is no curl command")
    return command[1:]


def _parsed(words: list[ShellWord], where: str) -> Iterator[_Command]:
    """What each part of a command between --next asks for."""
    command = _Command()
    rest = iter(words)
    for word in rest:
        for name, value in _options(word, rest, where):
            if name == "--next":
                yield command
                command = _Command()
            else:
                _take(command, name, value, where)
    yield command


def _options(
    word: ShellWord, rest: Iterator[ShellWord], where: str
) -> Iterator[tuple[str, ShellWord]]:
    """The options of a word by their long names, each with its value; a url as `--url`."""
    text = word.text
    if not text.startswith("-") or text == "-":
        yield "--url", word
    elif text.startswith("--"):
        name, equals, value = text.partition("=")
        if equals or not _has_value(name):
            yield name, ShellWord(value, variables=word.variables)
        else:
            yield name, _value(name, rest, where)
    else:
        for at, letter in enumerate(text[1:], start=2):
            name = _SHORT.get(letter, f"-{letter}")
            if letter in _SHORT_FLAGS or not _has_value(name):
                yield name, ShellWord("")
                continue
            joined = ShellWord(text[at:], variables=word.variables)
            yield name, joined if text[at:] else _value(name, rest, where)
            return


def _has_value(name: str) -> bool:
    known = (*_DATA, *_ASIDE, *_IN_HEADERS)
    return name in (*known, "--request", "--url", "--user-agent", "--referer")


def _value(name: str, rest: Iterator[ShellWord], where: str) -> ShellWord:
    value = next(rest, None)
    if value is None:
        raise Unreadable(f"{where}: {name} has no value")
    return value


def _take(command: _Command, name: str, word: ShellWord, where: str) -> None:
    value = word.text
    if word.variables and name not in (*_ASIDE, *_IN_HEADERS):
        raise Unreadable(f"{where}: ${word.variables[0]} is a variable", "Write its value.")
    if name in _DATA:
        _take_data(command, name, value, where)
    elif name == "--request":
        command.method = value
    elif name == "--url":
        command.urls.append(value)
    elif name == "--header":
        _take_header(command, value, where)
    elif name == "--cookie":
        if value and "=" not in value:
            raise Unreadable(
                f"{where}: the cookies are in the file {value[:60]!r}: write them here"
            )
        command.cookies += [value] if value else []
    elif name == "--user":
        command.user = value
    elif name == "--oauth2-bearer":
        command.headers.append(("Authorization", f"Bearer {value}"))
    elif name in ("--user-agent", "--referer"):
        command.headers.append((name[2:], value))
    elif name in ("--get", "--head", "--globoff", "--compressed", "--path-as-is"):
        command.flags.add(name)
    elif name not in (*_ASIDE, *_FLAGS) and name[1:] not in _SHORT_FLAGS:
        raise Unreadable(f"{where}: the option {name} is not known here")


def _take_header(command: _Command, value: str, where: str) -> None:
    if value.startswith("@"):
        raise Unreadable(f"{where}: headers are in the file {value[1:][:60]!r}: write them here")
    name, colon, content = value.partition(":")
    if colon and content.strip():
        command.headers.append((name.strip(), content.strip()))
    elif colon:
        command.removed.add(name.strip().lower())
    elif value.endswith(";"):
        command.headers.append((value[:-1].strip(), ""))


def _take_data(command: _Command, name: str, value: str, where: str) -> None:
    if name == "--data-urlencode":
        value = _encoded(value, where)
    elif value.startswith("@") and name != "--data-raw":
        raise _in_file(value, where)
    if name == "--json":
        command.flags.add(name)
        command.body = (command.body or "") + value
    else:
        command.body = value if command.body is None else f"{command.body}&{value}"


def _encoded(value: str, where: str) -> str:
    """`content`, `=content` and `name=content`, its content encoded."""
    name, equals, content = value.partition("=")
    if not equals:
        if "@" in value:
            raise _in_file(value[value.index("@") :], where)
        name, content = "", value
    content = quote(content, safe="-._~", errors="surrogateescape").replace("%20", "+")
    return f"{name}={content}" if name else content


def _in_file(value: str, where: str) -> Unreadable:
    return Unreadable(f"{where}: the body is in the file {value[1:][:60]!r}: put its text here")


def _requests(command: _Command, where: str) -> Iterator[RecordedRequest]:
    if not command.urls:
        raise Unreadable(f"{where}: no url")
    body, method = command.body, "GET" if command.body is None else "POST"
    query = ""
    if "--get" in command.flags:
        query, body, method = body or "", None, "GET"
    if "--head" in command.flags:
        method = "HEAD"
    headers = [*_default_headers(command, body), *command.headers]
    headers += [("Cookie", "; ".join(command.cookies))] if command.cookies else []
    told = [AS_BASIC] if command.user else []
    told += [
        f"curl was told to send no {name.capitalize()}, and {_OURS[name]} is sent all the same."
        for name in sorted(command.removed & _OURS.keys())
    ]
    for url in command.urls:
        address = _address(url, query, command.flags, where)
        yield recorded(
            command.method or method,
            address,
            headers,
            body or "",
            where,
            told,
        )


def _default_headers(command: _Command, body: str | None) -> Iterator[tuple[str, str]]:
    """What curl adds where the command does not say otherwise."""
    given = {name.lower() for name, _ in command.headers} | command.removed
    if command.user and "authorization" not in given:
        yield basic(command.user.encode("utf-8", "surrogateescape"))
    if body is not None and "content-type" not in given:
        yield "Content-Type", _JSON if "--json" in command.flags else _FORM
    if "--json" in command.flags and "accept" not in given:
        yield "Accept", _JSON
    if "--compressed" in command.flags and "accept-encoding" not in given:
        yield "Accept-Encoding", _CODINGS


def _address(url: str, query: str, flags: set[str], where: str) -> str:
    """The url as curl would ask for it."""
    address = _ADDRESS.match(url)
    glob = _GLOB.search(url, address.end() if address else 0)
    if glob and "--globoff" not in flags:
        raise Unreadable(
            f"{where}: curl takes {glob[0]} in a url for a pattern of several",
            "Write the urls one by one; for the character itself: --globoff.",
        )
    if "--globoff" not in flags:
        url = re.sub(r"\\([\[\]{}])", r"\1", url)
    before, question_mark, asked = url.partition("#")[0].partition("?")
    if "--path-as-is" not in flags and {".", ".."} & set(before.split("/")[1:]):
        raise Unreadable(
            f"{where}: curl takes . and .. out of a path", "Write it without; or --path-as-is."
        )
    if query:
        asked = f"{asked}&{query}" if asked else query
    whole = f"{before}?{asked}" if asked or question_mark else before
    return whole if "://" in before else f"http://{whole}"
