"""What may be kept of command lines, URLs, headers and errors; and what takes the place of the
rest.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from perfhunt.errors import LoadFailed
from perfhunt.model import redact
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.text.error_words import error_words
from perfhunt.model.traffic.parts import Expect, Feed
from perfhunt.store.digest_key import FORGOTTEN, KEY_FILE, mark_of

PYTHON = "/usr/bin/python3.11"
LINES: dict[str, tuple[str, str, str]] = {
    # what was started, what runs, what is kept
    "a server of Python": (
        "gunicorn -w 4 -b 127.0.0.1:8000 --timeout 30 -k gevent shop.wsgi:app",
        "/venv/bin/gunicorn",
        "gunicorn -w 4 -b 127.0.0.1:8000 --timeout 30 -k gevent shop.wsgi:app",
    ),
    "by its interpreter": (
        "/venv/bin/python /venv/bin/gunicorn --workers=4 --preload shop:app",
        PYTHON,
        "/venv/bin/python /venv/bin/gunicorn --workers=4 --preload shop:app",
    ),
    "a module": (
        "python3 -X dev -m uvicorn shop.main:app --port 8000 --host 0.0.0.0",
        PYTHON,
        "python3 -X dev -m uvicorn shop.main:app --port 8000 --host 0.0.0.0",
    ),
    "a script and a subcommand": (
        "python manage.py runserver 0.0.0.0:8000",
        PYTHON,
        "python manage.py runserver …",
    ),
    "node": (
        "node --max-old-space-size=512 server.js --secret=S3cret",
        "/usr/bin/node",
        "node --max-old-space-size=512 server.js …",
    ),
    "the JVM": (
        "java -Xmx512m -XX:+UseG1GC -Dpassword=S3cret -jar app.jar S3cret",
        "/usr/lib/jvm/bin/java",
        "java -Xmx512m -XX:+UseG1GC … -jar app.jar …",
    ),
    "an option with its value attached": ("mysqld -pS3cret", "/usr/sbin/mysqld", "mysqld …"),
    "user and password": ("svc --basic admin:S3cret", "/opt/svc", "svc … …"),
    "a word": ("svc -x swordfish", "/opt/svc", "svc … …"),
    "two words": ("svc --password S3cret swordfish", "/opt/svc", "svc … … …"),
    "an application behind an unknown option": (
        "gunicorn --password S3cret admin:S3cret",
        "/venv/bin/gunicorn",
        "gunicorn … … …",
    ),
    "a known option with another value": (
        "gunicorn --bind S3cret --workers S3cret -k S3cret shop:app",
        "/venv/bin/gunicorn",
        "gunicorn --bind … --workers … -k … shop:app",
    ),
    "code": ("python -c print('S3cret') S3cret.py", PYTHON, "python … … …"),
    "a short number": ("svc -p 4839", "/opt/svc", "svc … …"),
    "a path": ("svc /S3cret/token", "/opt/svc", "svc …"),
    "an environment before it": ("env TOKEN=S3cret svc", "/usr/bin/env", "env … …"),
    "a title of one word": ("S3cret", PYTHON, "python3.11"),
    "another program's name": ("S3cret --port 80", "", "… --port 80"),
}


@pytest.mark.parametrize(("line", "program", "kept"), LINES.values(), ids=LINES)
def test_of_a_command_line_what_is_known_to_be_harmless_is_kept(
    line: str, program: str, kept: str
) -> None:
    once = redact.command(line.split(), program)
    assert " ".join(once) == kept
    assert redact.command(once, program) == once


@pytest.mark.parametrize(
    ("title", "program", "kept"),
    [
        ("nginx: master process /usr/sbin/nginx -g S3cret", "/usr/sbin/nginx", "nginx: …"),
        ("gunicorn: worker [S3cret]", PYTHON, "gunicorn: …"),
        ("shop worker -b redis://:S3cret@h/0", PYTHON, "python3.11"),
        ("[celeryd: w@h] -active- (-b redis://:S3cret@h/0)", "", "…"),
    ],
)
def test_a_title_written_over_a_command_line_is_not_the_program(
    title: str, program: str, kept: str
) -> None:
    assert redact.command([title], program) == (kept,)
    assert redact.command([kept], program) == (kept,)


URLS = {
    "/items?page=3&user=S3cret": "/items?page=…&user=…",
    "/items?page={page}": "/items?page={page}",
    "/hook?S3cretPw": "/hook?…",
    "/z?q=1&S3cretPw=1": "/z?q=…&…",
    "/z?c3dvcmRmaXNo=": "/z?…",
    "/x;jsessionid=S3cret/y;v=1": "/x;…/y;…",
    "http://user:S3cret@shop.example:80/a?b=c#S3cret": "http://shop.example:80/a?b=…",
    "/services/T024BE7LD/XcVbN1234567890abcdef": "/services/…/…",
    "/api/v2/order-items/42": "/api/v2/order-items/42",
    "http://[": "…",
    "http://u:S3cret/x@shop.example/": "http://…/…/",
    "https://[::1]:8443/a": "https://[::1]:8443/a",
    "user:hunter@shop.example": "…",
    "swordfish": "…",
    "": "",
}


@pytest.mark.parametrize(("url", "kept"), URLS.items(), ids=URLS)
def test_of_a_url_the_path_and_the_names_of_its_query_are_kept(url: str, kept: str) -> None:
    assert redact.url(url) == kept
    assert redact.url(kept) == kept


ROUTES = {
    "GET http://shop.example/item/7?token=S3cret": "GET /item/…",
    "GET /item/8": "GET /item/…",
    "GET /user/[id]": "GET /user/[id]",
    "POST /users/:id/orders": "POST /users/:id/orders",
    "GET checkout page": "GET checkout page",
    "GET ?S3cret": "GET /",
    "grpc /shop.Cart/Add?x=S3cret": "grpc /shop.Cart/Add",
}


@pytest.mark.parametrize(("name", "kept"), ROUTES.items(), ids=ROUTES)
def test_routes_of_a_closed_loop_are_grouped_without_values(name: str, kept: str) -> None:
    assert redact.route(name) == kept


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("ThreadPoolExecutor-0_1", True),
        ("http-nio-8080-exec-1", True),
        ("Thread-5 (process)", True),
        ("asyncio_0", True),
        ("kworker/u4:2", True),
        ("gunicorn", True),
        ("sha256sum", True),
        ("postgres", True),
        ("GC Thread#0", True),
        ("MainThread", True),
        ("worker --token ", False),
        ("pw=S3cretPw", False),
        ("483920", False),
        ("C4nThrE5S3cretPw", False),
    ],
)
def test_a_threads_name_is_kept_where_it_is_one(name: str, kept: bool) -> None:
    assert redact.thread(name) == (name if kept else "…")


def test_headers_are_kept_where_their_form_is_harmless() -> None:
    kept = {"Accept": "text/html, application/json;q=0.9", "Content-Type": "application/json"}
    assert {name: redact.header(name, value) for name, value in kept.items()} == kept
    assert redact.header("Authorization", "Bearer ${TOKEN}") == "Bearer ${TOKEN}"
    for name, value in (
        ("Authorization", "Bearer S3cret"),
        ("Accept", "S3cret"),
        ("User-Agent", "svc (key=S3cret)"),
        ("Cookie", "…S3cret"),
    ):
        assert redact.header(name, value) == "…"


def asked(body: str = "", path: str = "/login", feed: str = "ab") -> Question:
    rows = Feed("rows.csv", ("user",), feed * 32)
    traffic = RequestTemplate("e", "POST", path, body=body, feed=rows, expect=Expect(body="hello"))
    return Question(Target("http://127.0.0.1:1"), (traffic,), Slo(()))


def test_a_short_value_is_not_found_again_without_the_key() -> None:
    mark = redact.marker(b"a key")
    stored = asked('{"pin": "483920"}').marked(mark).redacted()
    (endpoint,) = stored.traffic
    assert "483920" not in repr(stored)
    tried = (
        asked(f'{{"pin": "{pin:06d}"}}').marked(redact.marker(b"another")).redacted()
        for pin in range(483_900, 483_940)
    )
    assert all(each.traffic[0].withheld != endpoint.withheld for each in tried)
    assert asked('{"pin": "483920"}').marked(mark).redacted() == stored


@pytest.mark.parametrize("other", [{"body": "b"}, {"path": "/login?a=2"}, {"feed": "cd"}])
def test_marked_questions_are_equal_only_when_they_ask_the_same(other: dict[str, str]) -> None:
    mark = redact.marker(b"a key")
    first, second = (
        asked(**{"body": "a", "path": "/login?a=1", **values}).marked(mark)
        for values in ({}, other)
    )
    assert first.fingerprint() == first.redacted().fingerprint() != second.fingerprint()


def test_marks_of_two_stores_are_not_compared() -> None:
    one, other = redact.marker(b"one"), redact.marker(b"other")
    assert redact.of_one_key(one("x"), one("y"))
    assert not redact.of_one_key(one("x"), other("x"))
    assert one(one("x")) == one("x")


def test_a_stores_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    store = tmp_path / ".perfhunt"
    first = mark_of(store)("x")
    assert first == mark_of(store)("x") != mark_of(tmp_path / "other")("x")
    assert stat.S_IMODE((store / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in store.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("wrong", ["readable by others", "short", "a link"])
def test_a_key_that_hides_nothing_is_not_used(tmp_path: Path, wrong: str) -> None:
    key = tmp_path / KEY_FILE
    key.write_bytes(b"k" * (32 if wrong != "short" else 3))
    key.chmod(0o644 if wrong == "readable by others" else 0o600)
    if wrong == "a link":
        key.rename(tmp_path / "elsewhere")
        key.symlink_to(tmp_path / "elsewhere")
    assert mark_of(tmp_path)("x") == FORGOTTEN("x")


def test_an_error_is_said_by_type_and_place() -> None:
    def fails() -> None:
        raise KeyError("S3cret")

    try:
        fails()
    except KeyError as error:
        said, whole = error_words(error), error_words(error, keep_text=True)
    assert "S3cret" not in said and said.startswith("KeyError at test_redact.py:")
    assert said.endswith(" in fails")
    assert "S3cret" in whole
    assert error_words(OSError(os.EX_NOINPUT, "S3cret")) == f"OSError (errno {os.EX_NOINPUT})"
    assert error_words(ModuleNotFoundError("S3cret", name="shop.db")) == (
        "ModuleNotFoundError (shop.db)"
    )
    assert error_words(LoadFailed("ours")) == "ours"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('Get "http://a:80/b?key=S3cret": EOF', 'Get "http://a:80/b?key=…": EOF'),
        ("dial postgres://me:S3cret@db/shop: refused", "dial postgres://db/shop: refused"),
        (
            "exceeded with url: /pay?card=S3cret (timed out)",
            "exceeded with url: /pay?card=… (timed out)",
        ),
        ("no such file: /etc/shop/a-b_c.D.toml.", "no such file: /etc/shop/a-b_c.D.toml."),
        ("12 of 20, 3/4 and and/or", "12 of 20, 3/4 and and/or"),
    ],
)
def test_what_a_program_says_keeps_no_value_of_an_address(said: str, kept: str) -> None:
    assert redact.sentence(said) == kept
    assert redact.sentence(kept) == kept
