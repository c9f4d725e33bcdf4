"""Bodies in `[[traffic]]`: files beside the test file, and forms with several parts."""

from __future__ import annotations

import hashlib

import pytest

from perfhunt.model import redact
from perfhunt.model.question import Question
from perfhunt.model.testfile.body import LARGEST_BODY
from perfhunt.model.traffic.parts import BodyFile, BodyPart
from tests.unit.model import testfiles
from tests.unit.model.testfiles import SLO, parse, refusal

CAT = b"\xff\xd8\xff\x00"


@pytest.fixture(autouse=True)
def photo(monkeypatch: pytest.MonkeyPatch) -> None:
    files = testfiles.FILES | {"cat.jpg": CAT, "big.bin": bytes(LARGEST_BODY // 2 + 1)}
    monkeypatch.setattr(testfiles, "FILES", files)


def asked(lines: str, **env: str) -> Question:
    return parse(f'{SLO}[[traffic]]\nrequest = "POST /up"\n{lines}', **env)


def test_a_file_is_a_body_with_its_hash() -> None:
    (endpoint,) = asked('body = { file = "cat.jpg", type = "image/jpeg" }').traffic
    file = BodyFile("cat.jpg", hashlib.sha256(CAT).hexdigest())
    assert endpoint.parts == (BodyPart(file=file, type="image/jpeg"),)
    assert endpoint.body is None
    assert endpoint.headers == (("Content-Type", "image/jpeg"),)
    (plain,) = asked('body = { file = "cat.jpg" }').traffic
    assert plain.headers == (("Content-Type", "application/octet-stream"),)
    (own,) = asked('body = { file = "cat.jpg" }\nheaders = { content-type = "x/y" }').traffic
    assert own.headers == (("content-type", "x/y"),)


def test_a_form_has_texts_and_files_and_a_list_is_several_of_one_name() -> None:
    (endpoint,) = asked(
        'feed = "pages.csv"\nbody = { form = { title = "{page}", tag = ["a", "b"], meta = { text ='
        ' "{}", type = "application/json" }, photo = { file = "cat.jpg", filename = "x.jpg" } } }'
    ).traffic
    file = BodyFile("cat.jpg", hashlib.sha256(CAT).hexdigest())
    assert endpoint.parts == (
        BodyPart("title", "{page}"),
        BodyPart("tag", "a"),
        BodyPart("tag", "b"),
        BodyPart("meta", "{}", type="application/json"),
        BodyPart("photo", file=file, type="application/octet-stream", filename="x.jpg"),
    )
    assert endpoint.headers == ()  # the boundary is made with the body


def test_a_field_of_a_form_may_come_several_times() -> None:
    (endpoint,) = asked('form = { tag = ["a", "b c"], q = "1" }').traffic
    assert endpoint.body == "tag=a&tag=b+c&q=1"


@pytest.mark.parametrize(
    ("lines", "path", "words"),
    [
        ("body = {}", "body", "neither file nor form"),
        ('body = { file = "cat.jpg", form = {} }', "body", "both file and form"),
        ('body = { file = "gone.jpg" }', "body.file", "cannot be read (No such file"),
        ('body = { file = "" }', "body.file", "is empty"),
        ("body = { file = 3 }", "body.file", "is a number"),
        ('body = { fiel = "cat.jpg" }', "body.fiel", 'did you mean "file"?'),
        ('body = { file = "cat.jpg", type = "jpeg" }', "body.type", "not a media type"),
        ('body = { file = "cat.jpg", type = "a/b\\n" }', "body.type", "not a media type"),
        ('body = { file = "cat.jpg", filename = "x" }', "body.filename", "not a known key"),
        ('body = { file = "big.bin", type = "a/b" }\njson = 1', "body", "there is already json"),
        ("body = { form = {} }", "body.form", "has no field"),
        ('body = { form = { "" = "x" } }', "body.form", "without a name"),
        ("body = { form = { n = 3 } }", "body.form.n", "write it in quotes"),
        ("body = { form = { n = { text = 4111 } } }", "body.form.n.text", "is a number"),
        ("body = { form = { n = {} } }", "body.form.n", "neither file nor text"),
        ('body = { form = { n = { file = "x.jpg" } } }', "body.form.n.file", "cannot be read"),
        (
            'body = { form = { n = { text = "", filename = "" } } }',
            "body.form.n.filename",
            "not a known key",
        ),
        ('body = { form = { n = "{id}" } }', "body.form.n", "{id} is no column of the feed"),
        ('body = { form = { n = "${NOT_SET}" } }', "body.form.n", "the environment has no NOT_SET"),
        (
            'body = { form = { n = { file = "cat.jpg", filename = "{id}" } } }',
            "body.form.n.filename",
            "{id} is no column",
        ),
        (
            'body = { form = { a = { file = "big.bin" }, b = { file = "big.bin" } } }',
            "body",
            "holds 64.0 MiB of files, more than the 64 MiB that one request may",
        ),
        (
            'body = { form = { n = "x" } }\nheaders = { content-type = "multipart/form-data" }',
            "headers.Content-Type",
            "names no boundary",
        ),
        ('form = { f = { file = "cat.jpg" } }', "form.f", "body = { form = { … } }"),
    ],
)
def test_a_body_that_cannot_be_is_refused_with_its_place(lines: str, path: str, words: str) -> None:
    message = refusal(f'{SLO}[[traffic]]\nrequest = "POST /up"\n{lines}')
    assert f"traffic[1].{path}: " in message
    assert "4111" not in message
    assert words in message


FORM = (
    'body = { form = { "4111 1111" = "hunter2", t = { text = "hunter2" },'
    ' f = { file = "cat.jpg", filename = "hunter2.jpg", type = "image/jpeg" } } }'
)


def test_a_stored_run_has_no_text_and_no_content_of_a_form() -> None:
    question = asked(FORM)
    stored = question.marked(redact.marker(b"a key")).redacted()
    (endpoint,) = stored.traffic
    assert "hunter2" not in repr(stored)
    assert "4111" not in repr(stored)
    assert hashlib.sha256(CAT).hexdigest() not in repr(stored)
    assert endpoint.is_redacted()
    assert endpoint.parts[2].file == BodyFile("cat.jpg", "")
    assert stored.fingerprint() == question.marked(redact.marker(b"a key")).fingerprint()


def test_the_content_of_a_file_is_part_of_the_question_and_its_place_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = redact.marker(b"a key")

    def prints(name: str) -> tuple[str, str]:
        question = asked(f'body = {{ form = {{ f = {{ file = "{name}" }} }} }}')
        return question.fingerprint(), question.marked(mark).fingerprint()

    first = prints("cat.jpg")
    monkeypatch.setitem(testfiles.FILES, "copy/cat.jpg", CAT)
    assert prints("copy/cat.jpg") == first
    monkeypatch.setitem(testfiles.FILES, "cat.jpg", b"another cat")
    assert not {*prints("cat.jpg")} & {*first}
