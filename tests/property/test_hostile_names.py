"""A corpus of hostile names through every format: none brings markup, steers a terminal, hides
anything, gives an order to CI, or stops the writing.
"""

from __future__ import annotations

import html
import importlib
import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from perfhunt.cli import console
from perfhunt.model.document.folded import fold, unfold
from perfhunt.model.profile import Frame
from perfhunt.model.run import Run
from perfhunt.model.text import escaping
from perfhunt.model.trial import RouteResult
from perfhunt.model.verdict.change import Atom, Kind
from perfhunt.reports.format import FORMATS
from perfhunt.reports.pictures.svg import element
from perfhunt.store.ledger import history
from perfhunt.store.rundir import RunDirectory, read_directory
from tests.sample_run import sample_run

# A reader of CommonMark with GitHub's tables, which rich brings along.
MarkdownIt: Any = importlib.import_module("markdown_it").MarkdownIt
PAYLOAD = "evil"
CORPUS = {
    "nothing": "",
    "C0": "a\x1b]0;evil\x07\x1b[2Jb\x00\x08",
    "C1": "a\x9b31mevil\x9d0;x\x9c\x85",
    "DEL": "a\x7fevil",
    "bidi override": "a\u202eevil\u202c",
    "bidi isolate": "a\u2066evil\u2069\u061c",
    "zero width": "ev\u200bil\u200d\ufeff\u2060\u00ad",
    "tag characters": "evil\U000e0041\U000e007f",
    "letters that nobody sees": "evil\u3164\u115f\u1160\uffa0\u17b4\u2800",
    "marks that nobody sees": "evil\u034f\u180b\ufe00\ufe0f\U000e0100\U000e01ef",
    "line separators": "evil\u2028::error::x\u2029::error::y",
    "noncharacters": "evil\ufffe\uffff\U0010ffff",
    "private": "evil\ue000",
    "half a pair": "evil\ud83d",
    "the other half": "evil\ude00x",
    "bytes that are not UTF-8": b"evil\xff\xfe.py".decode("utf-8", "surrogateescape"),
    "a workflow command": "::error file=a,line=1::evil",
    "a workflow command behind space": " \t::set-output name=a::evil",
    "a workflow command behind a newline": "work\n::add-mask::evil\r\n::stop-commands::x",
    "an old workflow command": "##[error]evil",
    "Azure": "##vso[task.setvariable variable=a]evil",
    "TeamCity": "##teamcity[testFailed name='evil']",
    "a script": "</script><script>evil()</script>",
    "an image": "<img src=http://evil/x.png onerror=evil()>",
    "an image in Markdown": "![evil](http://evil/x.png)",
    "a link in Markdown": "[evil](javascript:evil())",
    "a reference": "[evil]: http://evil/",
    "an automatic link": "http://evil/ www.evil.example <http://evil/>",
    "a mention": "@evil and team@evil.example",
    "numbers of issues and requests": "evil#1, o/r#2, GH-3, gh-4, !5, %6, &7, ~8, $9",
    "one backtick": "a`<b>evil</b>`b",
    "two backticks": "a``<img src=http://evil/x.png>``b",
    "many backticks": "```\n<b>evil</b>\n```",
    "backslashes": "\\`<b>evil</b>\\`\\",
    "a pipe": "a|<b>evil</b>|b\\|c\\\\|d",
    "a heading": "# evil",
    "a rule": "---",
    "a list": "- evil",
    "a numbered list": "1. evil",
    "a quotation": "> evil",
    "an entity": "&lt;b&gt;evil&#60;b&#62;&amp;",
    "the end of CDATA": "]]><b>evil</b>",
    "an attribute": "'\"><svg/onload=evil()>",
    "a template": "{{ 7*7 }}{% evil %}${evil}",
    "folded stacks": "a;evil 7\nb;c 8",
    "percent": "%3Bevil%",
    "quotes": '"evil"\'',
}
UNSEEN = (CORPUS["letters that nobody sees"] + CORPUS["marks that nobody sees"]).replace("evil", "")
# A reference of GitHub's or GitLab's, which a backslash does not keep from becoming a link.
REFERENCE = re.compile(r"@\w|[#!%&~$]\d|\bGH-\d", re.IGNORECASE)
NAMES = pytest.mark.parametrize("name", CORPUS.values(), ids=CORPUS)
ORDER = re.compile(r"\s*::[a-z-]+.*::|.*##(?:\[|vso\[|teamcity\[)")


def hostile(name: str) -> Run:
    """The sample run with a name wherever text from outside stands in it."""
    run = sample_run()
    frame = Frame(name, name, 1)
    stacks = {(frame, *s): n for s, n in [*run.profiles["knee"].stacks.items()][:3]}
    (first, *rest), url = run.question.traffic, run.question.target.url
    routes: dict[str, RouteResult] = {name: run.trials[0].routes["list"]}
    generator = replace(run.trials[0].generator, notes=(name,))
    assert run.target is not None
    processes = tuple(replace(p, exe=name, cwd=name, cmdline=(name,)) for p in run.target.processes)
    states = {
        span: replace(
            s, threads=tuple(replace(t, name=name, endpoints={name: 0.1}) for t in s.threads)
        )
        for span, s in run.states.items()
    }
    return replace(
        run,
        started=name,
        perfhunt=name,
        question=replace(
            run.question,
            traffic=(replace(first, name=name, path=f"/{name}"), *rest),
            target=replace(run.question.target, name=name, url=url),
            source=name,
        ),
        findings=tuple(
            replace(f, function=name, file=name, evidence=name, via=name) for f in run.findings
        ),
        bottleneck=run.bottleneck and replace(run.bottleneck, evidence=(name,)),
        cautions=tuple(replace(c, sentence=name, next=name) for c in run.cautions),
        profiles={"knee": replace(run.profiles["knee"], stacks=stacks, tool=name, notes=(name,))},
        states=states,
        target=replace(
            run.target, processes=processes, framework=name, notes=(name,), git_root=name
        ),
        environment=replace(
            run.environment, host=name, kernel=name, git_revision=name, tools={name: name}
        ),
        trials=tuple(
            replace(t, overload=name, routes=routes, generator=generator, rows=())
            for t in run.trials[:2]
        ),
        judged=tuple(replace(j, note=name) for j in run.judged),
        next_step=name,
        ended=f"failed: {name}",
    )


def hidden(text: str) -> list[str]:
    """Characters that cannot be seen, but for the ends of lines."""
    return [c for c in text if c != "\n" and (not c.isprintable() or c in UNSEEN)]


@cache
def rendered(form: str, name: str) -> str:
    """The hostile run in a format, written once."""
    return FORMATS[form].render(hostile(name))


class Elements(HTMLParser):
    """The elements of a page, counted, and the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()

    @classmethod
    def of(cls, page: str) -> Elements:
        read = cls()
        read.feed(page)
        return read

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}


@NAMES
@pytest.mark.parametrize("form", FORMATS)
def test_no_format_hides_anything_or_gives_an_order(form: str, name: str) -> None:
    text = rendered(form, name)
    text.encode()
    assert hidden(text) == []
    lines = text.split("\n")
    # In a page and a picture text is within elements, in JSON within quotes.
    assert [line for line in lines if re.match(r"\s*::[a-z]", line)] == []
    if form in ("terminal", "folded"):
        assert [line for line in lines if ORDER.match(line)] == []


@NAMES
@pytest.mark.parametrize("form", ["markdown", "comment"])
def test_markdown_shows_a_name_and_brings_nothing_in(name: str, form: str) -> None:
    page = MarkdownIt("commonmark", {"html": True, "linkify": True}).enable("table")
    shown = page.render(rendered(form, name)).replace("<!-- -->", "")
    ours = {"h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "ul", "li"}
    ours |= {"details", "summary", "strong", "sub"}
    tags = set(re.findall(r"<([a-zA-Z][a-z0-9]*)", shown))
    assert tags <= ours
    rows = re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    assert {row.count("<td") for row in rows if "load_rules" not in row} <= {0, 2, 4, 5, 6, 7, 11}


@NAMES
def test_text_of_markdown_reads_as_the_name_itself(name: str) -> None:
    rendered = MarkdownIt("commonmark").render(f"{escaping.markdown(name)} x")
    (inside,) = re.findall(r"^<p>(.*)</p>$", rendered.strip().replace("<!-- -->", ""))
    assert html.unescape(inside) == f"{escaping.visible(name).strip()} x".strip()


@NAMES
def test_text_of_markdown_refers_to_nobody_and_nothing(name: str) -> None:
    assert REFERENCE.search(escaping.markdown(name)) is None


@NAMES
def test_code_of_markdown_reads_as_the_name_itself(name: str) -> None:
    rendered = MarkdownIt("commonmark").render(escaping.code(name))
    (inside,) = re.findall(r"^<p><code>(.*)</code></p>$", rendered.strip())
    assert html.unescape(inside).strip() == escaping.visible(name).strip()


@NAMES
def test_xml_of_junit_and_pictures_reads_as_the_name_itself(name: str) -> None:
    root = ET.fromstring(element("text", name, data_n=name))
    assert (root.text or "") == root.get("data-n") == escaping.visible(name)
    for form in ("junit", "flamegraph", "knee", "waterfall"):
        ET.fromstring(rendered(form, name))


@NAMES
def test_a_page_holds_our_elements_only(name: str) -> None:
    page, plain = (Elements.of(rendered("html", n)) for n in (name, "plain"))
    assert set(page.tags) <= set(plain.tags)
    assert page.tags["script"] == plain.tags["script"] == 1
    assert page.attributes <= plain.attributes
    assert not [a for a in page.attributes if a.startswith("on")]


@NAMES
def test_json_is_read_by_every_reader(name: str) -> None:
    text = escaping.json_text({"name": name, name: [name]}, indent=1)
    read = json.loads(text.encode("utf-8"))
    json.dumps(read, ensure_ascii=False).encode("utf-8")  # no half of a pair is left
    if not hidden(name):
        assert read == {"name": name, name: [name]}


@NAMES
@pytest.mark.parametrize(
    "form", ["otlp", "bencher", "benchmark-bigger", "benchmark-smaller", "load-performance"]
)
def test_what_ci_reads_as_json_is_json(name: str, form: str) -> None:
    json.dumps(json.loads(rendered(form, name)), ensure_ascii=False).encode("utf-8")


@NAMES
def test_a_workflow_command_stays_one_with_the_name_in_it(name: str) -> None:
    line = escaping.workflow_command("notice", name, file=name, title=name)
    assert hidden(line) == []
    head, _, _ = line.removeprefix("::").partition("::")
    assert re.fullmatch(r"notice(?: (?:(?:file|title)=[^:,]*,?)+)?", head)


@NAMES
def test_a_label_of_a_metric_ends_where_it_should(name: str) -> None:
    assert re.fullmatch(r'(?:[^"\\\n]|\\[\\n"])*', escaping.label(name))
    assert re.sub(r"\\(.)", r"\1", escaping.label(name)) == escaping.visible(name)


@NAMES
def test_folded_stacks_come_back(name: str) -> None:
    stack = (Frame(name, name, 3), Frame("leaf"))
    text = fold({stack: 2.0})
    assert text.count("\n") == 1
    if not re.search("[\ud800-\udbff]|[\udc00-\udc7f\udd00-\udfff]", name):  # half a pair is lost
        assert unfold(text) == {stack: 2.0}


@NAMES
def test_a_run_with_such_names_is_stored_read_and_listed(name: str, tmp_path: Path) -> None:
    run = replace(hostile(name), started="2026-11-23T04:30:00Z", id="20261123T043000Z-1f3a9c")
    directory = RunDirectory.create(tmp_path, run)
    path = directory.finish(run)
    assert read_directory(path).id == run.id
    (row,) = history(tmp_path)
    assert row.id == run.id


@NAMES
def test_a_terminal_and_a_log_get_lines_only(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.out(name)
    console.note(name)
    console.out(f"  {Atom(Kind.CODE, name, name)}")
    out, err = capsys.readouterr()
    assert out.count("\n") == 2 and err.count("\n") == 1
    for line in [*out.splitlines(), *err.splitlines()]:
        assert hidden(line) == []
        assert ORDER.match(line) is None
    assert console.clean(console.clean(name)) == console.clean(name)


def test_the_corpus_would_be_noticed_without_escaping() -> None:
    """The tests above can fail: raw, each of these does what they forbid."""
    assert sum(bool(hidden(n.replace("\n", ""))) for n in CORPUS.values()) > 10
    assert sum(bool(ORDER.match(line)) for n in CORPUS.values() for line in n.split("\n")) > 6
    page = MarkdownIt("commonmark", {"html": True})
    assert sum("<img" in page.render(n) or "<b>" in page.render(n) for n in CORPUS.values()) > 4
    assert PAYLOAD in "".join(CORPUS.values())
