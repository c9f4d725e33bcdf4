"""`perfhunt init` with traffic of a file: what is written, and what is said of it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perfhunt.cli.app import app
from perfhunt.errors import UsageError

OPENAPI = """\
openapi: 3.0.0
paths:
  /books: {get: {responses: {200: {description: ok}}}, post: {}}
  /search: {get: {requestBody: {content: {application/json: {example: {q: '{q}'}}}}}}
"""
SCRIPT = (
    "import http from 'k6/http';\nexport default () => { http.get('http://localhost:8000/a') }\n"
)


def init(place: Path, kind: str, text: str, *words: str) -> Result:
    source = place / f"source.{kind}"
    source.write_text(text)
    output = str(place / "perfhunt.toml")
    words = ("init", f"--from-{kind}", str(source), "--output", output, *words)
    return CliRunner().invoke(app, words)


def test_a_document_becomes_a_file_with_its_feeds_and_what_is_left_to_do(tmp_path: Path) -> None:
    done = init(tmp_path, "openapi", OPENAPI)
    assert done.exit_code == 0, done.output
    written = tomllib.loads((tmp_path / "perfhunt.toml").read_text())
    assert [table["request"] for table in written["traffic"]] == ["GET /books", "GET /search"]
    assert (tmp_path / written["traffic"][1]["feed"]).exists()
    said = " ".join(done.output.split())
    assert "wrote perfhunt-1.jsonl beside it" in said
    assert "may change the service's state (POST /books)" in said


def test_a_script_is_named_as_the_test_file_would_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tree_sitter_javascript", reason="perfhunt[langs] is not installed")
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "shop.js").write_text(SCRIPT)
    (tmp_path / "perf").mkdir()
    monkeypatch.chdir(tmp_path)
    words = ["init", "--from-k6", "load/shop.js", "-o", "perf/perfhunt.toml"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert 'k6_script = "../load/shop.js"' in " ".join(done.output.split())


def test_what_cannot_be_read_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    done = init(tmp_path, "openapi", "openapi: 3.0.0\n")
    assert isinstance(done.exception, UsageError)
    assert "has no paths" in done.exception.message and done.exception.hint
    assert not (tmp_path / "perfhunt.toml").exists()


def test_a_reader_of_javascript_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    done = init(tmp_path, "k6", SCRIPT)
    assert isinstance(done.exception, UsageError)
    assert done.exception.hint == "pip install 'perfhunt[langs]'"
