"""What a request of `[[traffic]]` carries: `json`, `form`, or `body`, which is a text, a file, or a
form with files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from perfhunt.model.testfile.strict import Reader, kind, show
from perfhunt.model.testfile.template import quote_around
from perfhunt.model.traffic.parts import BodyFile, BodyPart
from perfhunt.model.units import Bytes

# All files of one request. Every load process holds them, with the requests they are in.
LARGEST_BODY: Bytes = 64 << 20
_EXAMPLE = 'body = "text", { file = "photo.jpg" } or { form = { photo = { file = "photo.jpg" } } }'
_ANY_TYPE = "application/octet-stream"  # RFC 7578, 4.4: of a file of which nothing is known
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:;[ -~]*)?")
_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,./:=? -]{0,69}[0-9A-Za-z\'()+_,./:=?-])"?')

# The path that is kept of the file named at a key, and its bytes; None when it cannot be had, which
# the reader was told then.
ReadBeside = Callable[[Reader, str], tuple[str, bytes] | None]


@dataclass(frozen=True, slots=True)
class Body:
    """A body as a question has it, and the Content-Type it implies ("": none, or it depends on the
    row).
    """

    text: str | None = None
    content_type: str = ""
    parts: tuple[BodyPart, ...] = ()


def read_body(table: Reader, beside: ReadBeside) -> Body:
    """The body of one endpoint; problems go to the reader."""
    given = [key for key in ("json", "form", "body") if table.has(key)]
    if len(given) > 1:
        table.wrong(
            given[1], f"there is already {given[0]}", "a request has one of json, form and body"
        )
    if not given:
        return Body()
    if given[0] == "json":
        return Body(_json(table), "application/json")
    if given[0] == "form":
        return Body(_urlencoded(table), "application/x-www-form-urlencoded")
    if isinstance(table.raw("body"), dict):
        return _parts(table, beside)
    return Body(table.text("body", example=_EXAMPLE))


def is_multipart(parts: Sequence[BodyPart]) -> bool:
    """Whether a body has several parts, or one that has a name: else it is nothing but its file."""
    return bool(parts and parts[0].name)


def given_boundary(content_type: str) -> str:
    """The boundary that a Content-Type names; "" when it names none."""
    match = _BOUNDARY.search(content_type)
    return match[1] if match else ""


def _json(table: Reader) -> str | None:
    value = table.raw("json")
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        table.wrong(
            "json",
            "holds a date, a time, inf or nan, which JSON does not have",
            'write it in quotes, like "2026-01-31"',
        )
        return None


def _urlencoded(table: Reader) -> str | None:
    fields = table.child("form", 'form = { sku = "A1" }')
    pairs: list[str] = []
    for key, value in _fields(fields) if fields else ():
        assert fields is not None
        if not isinstance(value, str):
            instead = "write it in quotes"
            if isinstance(value, dict):
                instead = "files go into a multipart form: body = { form = { … } }"
            fields.wrong(key, f"is {kind(value)}", instead)
        else:
            pairs.append(f"{quote_around(key)}={quote_around(value)}")
    return "&".join(pairs)


def _fields(fields: Reader) -> Iterator[tuple[str, Any]]:
    """Each field with its value; one with a list has each of its values."""
    for key in fields.table:
        value = fields.raw(key)
        for each in value if isinstance(value, list) else [value]:
            yield key, each


def _parts(table: Reader, beside: ReadBeside) -> Body:
    lines = table.child("body", _EXAMPLE)
    assert lines is not None
    sizes: list[Bytes] = []

    def measured(at: Reader, key: str) -> tuple[str, bytes] | None:
        read = beside(at, key)
        sizes.append(len(read[1]) if read else 0)
        return read

    body = Body()
    if lines.has("file") == lines.has("form"):
        both = "both file and form" if lines.has("file") else "neither file nor form"
        lines.wrong("", f"has {both}", f"write {_EXAMPLE}")
    elif lines.has("file"):
        part = _file(lines, "", measured)
        body = Body(None, part.type, (part,))
    else:
        body = Body(None, "", tuple(_form(lines, measured)))
    if sum(sizes) > LARGEST_BODY:
        lines.wrong(
            "",
            f"holds {sum(sizes) / (1 << 20):.1f} MiB of files,"
            f" more than the {LARGEST_BODY >> 20} MiB that one request may",
            "take smaller files: what a service does with one shows in many small ones, too",
        )
    lines.finish()
    return body


def _form(lines: Reader, beside: ReadBeside) -> Iterator[BodyPart]:
    fields = lines.child("form", 'form = { title = "a", photo = { file = "photo.jpg" } }')
    if fields is not None and not fields.table:
        fields.wrong("", "has no field", 'write for example { photo = { file = "photo.jpg" } }')
    for key, value in _fields(fields) if fields else ():
        assert fields is not None
        if not key:
            fields.wrong("", "has a field without a name", "give each field its name")
        elif isinstance(value, str):
            yield BodyPart(key, value)
        elif isinstance(value, dict):
            yield _field(Reader(value, fields.at(key), fields.problems), key, beside)
        else:
            fields.wrong(key, f"is {kind(value)}", "write it in quotes")


def _field(field: Reader, name: str, beside: ReadBeside) -> BodyPart:
    if field.has("file") == field.has("text"):
        both = "both file and text" if field.has("file") else "neither file nor text"
        field.wrong(
            "", f"has {both}", 'write for example { file = "cat.jpg", type = "image/jpeg" }'
        )
        return BodyPart(name)
    if field.has("file"):
        part = _file(field, name, beside, field.text("filename"))
    else:
        part = BodyPart(name, field.text("text"), type=_type(field))
    field.finish()
    return part


def _file(at: Reader, name: str, beside: ReadBeside, filename: str = "") -> BodyPart:
    read = beside(at, "file")
    file = BodyFile(read[0], hashlib.sha256(read[1]).hexdigest()) if read else BodyFile("", "")
    return BodyPart(name, file=file, type=_type(at) or _ANY_TYPE, filename=filename)


def _type(at: Reader) -> str:
    text = at.text("type", example='type = "image/jpeg"')
    if text and not _TYPE.fullmatch(text):
        at.wrong("type", f"{show(text)} is not a media type", 'write for example "image/jpeg"')
        return ""
    return text
