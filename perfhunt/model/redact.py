"""What may be kept of text that can hold secrets: an allow list, because a secret looks like
anything.

What is not clearly harmless becomes "…"; that two questions still compare is the work of digests
under a key that never leaves the store (`Mark`). Redacting twice changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from perfhunt.model.text.command_line import HIDDEN, kept
from perfhunt.model.text.socket_url import socket_path, socket_url

# Text to what stands for it: equal for equal texts, and nobody without the key can try texts out.
Mark = Callable[[str], str]

_MARK = re.compile(r"hmac:[0-9a-f]{8}:[0-9a-f]{32}|sha256:[0-9a-f]{12}")  # the second: before 1.0
_PLACEHOLDER = r"\$?\{[A-Za-z_][A-Za-z0-9_]*(?::raw|:encoded)?\}"
_PLACEHOLDERS = re.compile(
    rf"\s*(?:(?:Bearer|Basic|Token|Digest)\s+)?(?:{_PLACEHOLDER}\s*)+", re.IGNORECASE
)
_TYPES = re.compile(
    r"(?:[a-z*]{1,16}/[a-z0-9.*+-]{1,48}(?:; ?(?:charset=[a-z0-9-]{1,12}|q=[01](?:\.\d{1,3})?))*"
    r"(?:, ?|$))+",
    re.IGNORECASE,
)
_CODINGS = re.compile(r"(?:(?:gzip|br|zstd|deflate|identity|\*)(?:;q=[01](?:\.\d)?)?(?:, ?|$))+")
_LANGUAGES = re.compile(r"(?:(?:[a-z]{2}(?:-[A-Z]{2})?|\*)(?:;q=[01](?:\.\d)?)?(?:, ?|$))+")
_HARMLESS_HEADERS = {
    "accept": _TYPES,
    "content-type": _TYPES,
    "accept-encoding": _CODINGS,
    "accept-language": _LANGUAGES,
}
# Names as people give them: words, in any of the usual ways to join them.
_WORD = r"(?:[a-z]{1,20}|[A-Z][a-z]{1,19}|[A-Z]{2,8})"
_JOINED = rf"{_WORD}(?:[A-Z][a-z]{{1,19}})*"
_KEY = re.compile(rf"{_JOINED}(?:[_.-]{_JOINED}|\d)*(?:\[(?:{_JOINED})?\])*")
_PIECE = rf"(?:{_JOINED}|\d{{1,6}}|[A-Za-z0-9]{{1,3}}|[a-z]{{1,12}}\d{{1,2}})"
_SEGMENT = re.compile(rf"(?:{_PIECE}(?:[-_.~:]{_PIECE}){{0,5}})?(?:{_PLACEHOLDER})?")
_ROUTE_SEGMENT = re.compile(
    rf"(?:v\d{{1,2}}|{_JOINED}(?:[-_.]{_JOINED}){{0,5}}|\[\w{{1,20}}\]|:[a-z]\w{{0,19}}|{_PLACEHOLDER})?"
)
_NAME = rf"(?:{_PIECE}|[a-z]{{1,8}}\d{{1,4}}[a-z]{{1,8}})"  # sha256sum
_THREAD = re.compile(
    rf"[<\[(]?(?=[A-Za-z]){_NAME}(?:[-_.:/#]{{1,2}}{_NAME}|\d{{1,6}}){{0,8}}"
    r"(?: \(\w{1,40}\))?[>\])]?"
    r"|[A-Z][A-Za-z0-9]{0,9}(?: [A-Z][A-Za-z]{1,14}(?:#\d{1,3})?){1,2}",  # GC Thread#0
)
_TOOL_PROCESS = re.compile(r'(process \d+):"?(.*?)"?', re.DOTALL)
_TOOL_THREAD = re.compile(r"(thread \([0-9A-Fa-fx]+\)): (.*)", re.DOTALL)
_HOST = re.compile(r"(?:(?:[\w.*-]{0,253}|\[[0-9A-Fa-f:.%\w]{2,64}\])(?::\d{0,5})?)")
_METHOD = re.compile(r"([A-Za-z]{1,12}) (.*)", re.DOTALL)


def marker(key: bytes) -> Mark:
    """Marks under a key: `hmac:`, 8 hex digits that name the key, and 32 of HMAC-SHA-256. A text
    that is such a mark already, or empty, stays.
    """
    name = hmac.new(key, b"the name of this key", hashlib.sha256).hexdigest()[:8]

    def mark(text: str) -> str:
        if not text or _MARK.fullmatch(text):
            return text
        raw = text.encode("utf-8", "surrogatepass")
        return f"hmac:{name}:{hmac.new(key, raw, hashlib.sha256).hexdigest()[:32]}"

    return mark


TWO_KEYS = "they were marked under the keys of two stores"


def of_one_key(a: str, b: str) -> bool:
    """Whether two marks can be compared: they were made under one key, or neither under any."""
    keys = {text.split(":")[1] if text.startswith("hmac:") else "" for text in (a, b)}
    return len(keys) == 1


def is_hidden(text: str) -> bool:
    """Whether a text stands for another one that was not kept."""
    return text == HIDDEN or _MARK.fullmatch(text) is not None


def marked(text: str) -> str:
    """What is kept of any text: nothing but that there was one, or that it is only `${NAME}`."""
    harmless = not text or _PLACEHOLDERS.fullmatch(text) or is_hidden(text)
    return text if harmless else HIDDEN


def header(name: str, value: str) -> str:
    """A header's value, kept when it is only `${NAME}` (with or without "Bearer"), or has the form
    that is harmless for its header.
    """
    form = _HARMLESS_HEADERS.get(name.lower())
    return value if form is not None and form.fullmatch(value) else marked(value)


def body(text: str | None) -> str | None:
    """What is kept of a body: that there is one. None and empty bodies as they are."""
    return text if not text or is_hidden(text) else HIDDEN


def field_name(text: str) -> str:
    """The name of a form's field, where it is one."""
    return text if not text or _KEY.fullmatch(text) else HIDDEN


def url(text: str) -> str:
    """A URL or a path: no userinfo, no fragment, no parameters behind `;`; of its path the parts
    that are words or short numbers, of its query the names alone. Of a unix socket, its path so.
    """
    if socket := socket_path(text):
        kept_path = "/".join(_segment(segment, _SEGMENT) for segment in socket.split("/"))
        return socket_url(kept_path).replace(quote(HIDDEN), HIDDEN)
    try:
        parts = urlsplit(text)
    except ValueError:
        return HIDDEN
    pathlike = text.startswith("/") or re.match(_PLACEHOLDER, text) is not None
    if text and not parts.netloc and not pathlike:
        return HIDDEN  # neither a URL nor a path
    path = "/".join(_segment(segment, _SEGMENT) for segment in parts.path.split("/"))
    host = parts.netloc.rpartition("@")[2]
    if not _HOST.fullmatch(host):
        host = HIDDEN  # a password with a slash in it ends what is taken for the host
    return urlunsplit((parts.scheme, host, path, "&".join(_names(parts.query)), ""))


_ADDRESS = re.compile(r"""(?:\b[A-Za-z][A-Za-z0-9+.-]{0,20}:/|(?<![\w/.]))/[^\s"'<>`]*""")


def sentence(text: str) -> str:
    """A text of a program's with the addresses in it as `url` keeps them; paths of files stay."""

    def kept_address(match: re.Match[str]) -> str:
        address = match[0].rstrip(".,:;)]}")
        if "://" not in address and not set("?@;") & set(address):
            return match[0]
        return url(address) + match[0][len(address) :]

    return _ADDRESS.sub(kept_address, text)


def _segment(segment: str, form: re.Pattern[str]) -> str:
    name, semicolon, _ = segment.partition(";")
    return (name if form.fullmatch(name) else HIDDEN) + (f";{HIDDEN}" if semicolon else "")


def _names(query: str) -> Iterator[str]:
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        # A text in base64 may end in `=`, so a name without a value is no name.
        if not (equals and value and _KEY.fullmatch(name)):
            yield HIDDEN
        else:
            yield f"{name}={value if re.fullmatch(_PLACEHOLDER, value) else HIDDEN}"


def route(name: str) -> str:
    """The name that requests are counted under: a URL without host, query and values, so that
    `/user/7?x=1` and `/user/8` are one; a name that is none as it is.
    """
    match = _METHOD.fullmatch(name)
    method, rest = (match[1], match[2]) if match else ("", name)
    if "/" not in rest and "?" not in rest and "=" not in rest:
        return name
    try:
        path = urlsplit(rest).path
    except ValueError:
        path = f"/{HIDDEN}"
    grouped = "/".join(_segment(segment, _ROUTE_SEGMENT) for segment in path.split("/"))
    return f"{method} {grouped or '/'}".strip()


def command(arguments: Sequence[str], program: str = "") -> tuple[str, ...]:
    """A command line without its values; `program` is the file that the process runs. See
    `command_line`.
    """
    return kept(arguments, program.removesuffix(" (deleted)"))


def thread(name: str) -> str:
    """The name of a thread or process as the kernel has it. A program can write anything there: a
    title with options and values is not kept.
    """
    return name if _THREAD.fullmatch(name) or not name else HIDDEN


def frame_name(text: str) -> str:
    """A frame's name; where a tool put a process's command line or a thread's name there, that
    redacted.
    """
    if match := _TOOL_PROCESS.fullmatch(text):
        return f'{match[1]}:"{" ".join(command(match[2].split()))}"'
    match = _TOOL_THREAD.fullmatch(text)
    return f"{match[1]}: {thread(match[2])}" if match else text


def file_name(text: str) -> str:
    """A frame's file; of code that lies in its own address, that it does."""
    scheme = text.partition(":")[0]
    if scheme in ("http", "https", "ws", "wss", "file") and ":" in text:
        return text.partition("?")[0] if scheme == "file" else url(text)
    return f"data:{HIDDEN}" if scheme == "data" and ":" in text else text
