"""The pages of the documentation: what they link to is there, and each has its place in the
navigation. Enforces CONTRIBUTING.md, "How to add" (a page).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from perfhunt.cli.verbs.table import VERBS
from perfhunt.errors import EXIT_MEANINGS, ExitCode
from tests.architecture.source import ROOT

FOLDERS = (".", "docs", "docs/reference", "benchmarks", "flamegraphs")
PAGES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
# Fenced blocks and code spans hold no links and no headings.
FENCED = re.compile(r"^(```+|~~~+).*?^\1\s*?$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(`+).+?\1", re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def links(text: str) -> Iterator[str]:
    """What links and pictures of a page point to, as written; not those of other hosts."""
    plain = SPAN.sub("", FENCED.sub("", text))
    yield from (to for to in LINK.findall(plain) if not ELSEWHERE.match(to))


def anchors(text: str) -> set[str]:
    """The anchors that a code host gives the headings of a page."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in HEADING.findall(FENCED.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@cache
def anchors_of(path: Path) -> set[str]:
    return anchors(path.read_text())


def trouble(page: Path, to: str) -> str:
    """What is wrong with a link of a page; "" when nothing is."""
    name, _, anchor = to.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.is_relative_to(ROOT):
        return "leads out of the repository"
    if not path.exists():
        return "leads to nothing"
    if anchor and (path.suffix != ".md" or anchor not in anchors_of(path)):
        return f"has no section #{anchor}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    wrong = [f"{to} {why}" for to in links(page.read_text()) if (why := trouble(page, to))]
    assert not wrong, f"{page.relative_to(ROOT)}: {'; '.join(wrong)}"


def test_links_are_found_where_they_are_and_not_in_code() -> None:
    text = (
        "[a](b.md) ![c](d.svg)\n[e](f.md#g 'h')\n`[i](j.md)`\n```\n[k](l.md)\n```\n[m](https://n)"
    )
    assert list(links(text.replace("'", '"'))) == ["b.md", "d.svg", "f.md#g"]
    assert any(True for page in PAGES for _ in links(page.read_text()))


def test_a_link_that_leads_nowhere_is_told() -> None:
    page = ROOT / "docs" / "style.md"
    assert trouble(page, "knee.md") == ""
    assert trouble(page, "architecture.md#who-may-do-what") == "has no section #who-may-do-what"
    assert trouble(page, "#who-may-do-what") == ""
    assert trouble(page, "nothing.md") == "leads to nothing"
    assert trouble(page, "../../elsewhere.md") == "leads out of the repository"


def test_anchors_are_those_of_a_code_host() -> None:
    text = "# A `b`, c\n## [D](e.md) f-g\n## A b c\n```\n# no heading\n```\n"
    assert anchors(text) == {"a-b-c", "d-f-g", "a-b-c-1"}


def places(nav: object) -> Iterator[str]:
    """The pages that a navigation names, in order."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict | list):
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from places(part)


def test_every_page_has_one_place_in_the_navigation() -> None:
    named = list(places(yaml.safe_load((ROOT / ".mkdocs.yml").read_text())["nav"]))
    assert sorted(named) == sorted(str(page.relative_to(ROOT)) for page in PAGES)


def test_the_pages_that_are_made_from_the_code_are_those_that_would_be_made_now() -> None:
    words = [sys.executable, "scripts/docs_pages.py", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]


def test_the_page_of_the_exit_codes_has_them_all() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    missing = [code for code in ExitCode if f"| {int(code)} | `{code.name}` |" not in page]
    assert (missing, list(EXIT_MEANINGS)) == ([], list(ExitCode))


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff to read the man page")
def test_the_man_page_is_read_without_a_warning_and_names_every_verb() -> None:
    words = ["groff", "-man", "-Tascii", "-P-c", "-P-bou", "-ww", "docs/perfhunt.1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert not [verb for verb in VERBS if f"perfhunt {verb} [OPTIONS]" not in done.stdout]
