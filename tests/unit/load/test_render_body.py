"""Bodies with files: what a server reads of them is what was put in. Werkzeug reads them here."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from werkzeug.formparser import parse_form_data

from perfhunt.errors import LoadFailed
from perfhunt.load import render
from perfhunt.load.render import Payloads, prepare
from perfhunt.model.question import RequestTemplate
from perfhunt.model.testfile.body import LARGEST_BODY
from perfhunt.model.traffic.parts import BodyFile, BodyPart, Feed

JPEG = b"\xff\xd8\xff\x00--\r\n\r\n{name} ${TOKEN}\r\n--"


def pinned(path: Path, content: bytes) -> BodyFile:
    path.write_bytes(content)
    return BodyFile(str(path), hashlib.sha256(content).hexdigest())


def prepared(*parts: BodyPart, feed: Feed | None = None, content_type: str = "") -> Payloads:
    headers = (("Content-Type", content_type),) if content_type else ()
    endpoint = RequestTemplate("up", "POST", "/up", headers=headers, feed=feed, parts=parts)
    return prepare(endpoint, "h", "r1", {"TOKEN": "s3cret"})


def split(payload: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = payload.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


def received(payload: bytes) -> tuple[list[tuple[str, str]], dict[str, tuple[str, str, bytes]]]:
    """The texts and the files that a server finds."""
    headers, body = split(payload)
    assert int(headers["content-length"]) == len(body)
    environ = {
        "wsgi.input": io.BytesIO(body),
        "CONTENT_TYPE": headers["content-type"],
        "CONTENT_LENGTH": headers["content-length"],
        "REQUEST_METHOD": "POST",
    }
    _, texts, files = parse_form_data(environ, silent=False)
    return list(texts.items(multi=True)), {
        key: (file.filename or "", file.content_type or "", file.read())
        for key, file in files.items()
    }


def names(tmp_path: Path, *rows: str) -> Feed:
    file = tmp_path / "names.csv"
    file.write_text("\n".join(["name", *(f'"{row}"' for row in rows)]), newline="")
    return Feed(str(file), ("name",), hashlib.sha256(file.read_bytes()).hexdigest())


def test_a_file_is_sent_byte_for_byte_and_never_taken_for_a_template(tmp_path: Path) -> None:
    file = pinned(tmp_path / "a.jpg", JPEG)
    headers, body = split(prepared(BodyPart(file=file, type="image/jpeg")).get(0))
    assert body == JPEG
    assert headers["content-length"] == str(len(JPEG))


def test_a_form_with_files_arrives_as_it_was_written(tmp_path: Path) -> None:
    photo = BodyPart("photo", file=pinned(tmp_path / 'c"at.jpg', JPEG), type="image/jpeg")
    sent = prepared(
        BodyPart("title", "{name}"),
        BodyPart("tag", "a"),
        BodyPart("tag", "b"),
        BodyPart("token", "${TOKEN}"),
        BodyPart("meta", '{"of": "{name}"}', type="application/json"),
        photo,
        BodyPart("raw", file=photo.file, filename="of {name}.bin", type="x/y"),
        feed=names(tmp_path, 'caf\u00e9 ""quoted""', "two\r\nlines"),
    )
    texts, files = received(sent.get(0))
    title = 'caf\u00e9 "quoted"'
    assert texts == [
        ("title", title),
        ("tag", "a"),
        ("tag", "b"),
        ("token", "s3cret"),
        ("meta", '{"of": "caf\u00e9 \\"quoted\\""}'),
    ]
    assert files["photo"] == ('c"at.jpg', "image/jpeg", JPEG)
    assert files["raw"] == (f"of {title}.bin", "x/y", JPEG)
    texts, files = received(sent.get(1))
    assert texts[0] == ("title", "two\r\nlines")
    assert files["raw"][0] == "of two%0D%0Alines.bin"


def test_the_boundary_is_the_same_for_the_same_parts_and_occurs_in_none(tmp_path: Path) -> None:
    def made(content: bytes, text: str = "x") -> tuple[bytes, str]:
        part = BodyPart("f", file=pinned(tmp_path / "f.bin", content))
        payload = prepared(BodyPart("t", text), part).get(0)
        return payload, split(payload)[0]["content-type"].rpartition("=")[2]

    first, boundary = made(b"content")
    assert made(b"content") == (first, boundary)
    assert first.count(boundary.encode()) == 4  # in the header, before each part, and at the end
    other, another = made(b"other content")
    assert another != boundary
    assert other != first


def test_a_row_that_holds_the_boundary_gets_another_one(tmp_path: Path) -> None:
    part = BodyPart("t", "{name}")
    plain = prepared(part, feed=names(tmp_path, "x"))
    boundary = split(plain.get(0))[0]["content-type"].rpartition("=")[2]
    spoiled = prepared(part, feed=names(tmp_path, f"--{boundary}", "y"))
    assert received(spoiled.get(0))[0] == [("t", f"--{boundary}")]
    assert received(spoiled.get(1))[0] == [("t", "y")]


def test_a_boundary_that_was_given_is_used_or_refused(tmp_path: Path) -> None:
    given = 'multipart/form-data; boundary="of mine"'
    assert received(prepared(BodyPart("t", "x"), content_type=given).get(0))[0] == [("t", "x")]
    with pytest.raises(LoadFailed, match="occurs in its body"):
        prepared(BodyPart("t", "it is of mine"), content_type=given)
    with pytest.raises(LoadFailed, match="occurs in its body"):
        prepared(BodyPart("t", file=pinned(tmp_path / "f", b"of mine")), content_type=given)


def test_a_file_that_changed_or_went_since_is_refused(tmp_path: Path) -> None:
    part = BodyPart(file=pinned(tmp_path / "f", b"before"))
    (tmp_path / "f").write_bytes(b"after")
    with pytest.raises(LoadFailed, match="changed after the test file was read"):
        prepared(part)
    (tmp_path / "f").unlink()
    with pytest.raises(LoadFailed, match=r"cannot be used: .*No such file"):
        prepared(part)
    with (tmp_path / "f").open("wb") as sparse:
        sparse.truncate(LARGEST_BODY + 1)
    with pytest.raises(LoadFailed, match="over 64 MiB"):
        prepared(part)


def test_requests_are_kept_up_to_a_bound_of_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "EAGER_BYTES", 30_000)
    file = BodyPart("f", file=pinned(tmp_path / "f", b"x" * 10_000))
    sent = prepared(file, BodyPart("t", "{name}"), feed=names(tmp_path, *"abcdefgh"))
    assert len(sent.made) == 3
    assert received(sent.get(7))[0] == [("t", "h")]
