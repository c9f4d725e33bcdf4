"""The change log and the scripts. Enforces docs/style.md, "Tests" (every user-visible change edits
the change log), and CONTRIBUTING.md, "The tests" (the scripts that everything is run with).
"""

from __future__ import annotations

import re

import pytest

from perfhunt import __version__
from tests.architecture.source import ROOT

UNRELEASED = "Unreleased"


def sections(text: str) -> dict[str, list[str]]:
    """The bullets of each section of a change log, by its heading without the date, in order."""
    bullets: dict[str, list[str]] = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"## \[?([^\]\s]+)\]?(?: - \d{4}-\d\d-\d\d)?", line):
            bullets[heading[1]] = []
        elif line.startswith("- ") and bullets:
            bullets[next(reversed(bullets))].append(line)
    return bullets


def trouble(text: str, version: str) -> str:
    """What is wrong with a change log for a package of this version; "" when nothing is."""
    bullets = sections(text)
    if not bullets:
        return "it has no section"
    if empty := [heading for heading, lines in bullets.items() if not lines]:
        return f"{empty[0]} says nothing"
    if (first := next(iter(bullets))) not in (UNRELEASED, version):
        return f"it begins with {first}: neither {version} nor what comes after it"
    if first == UNRELEASED and len(bullets) > 1 and version not in bullets:
        return f"{version} was released without an entry"
    return ""


def test_the_change_log_speaks_of_this_version_or_of_what_comes_next() -> None:
    assert trouble((ROOT / "CHANGELOG.md").read_text(), __version__) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Changelog\n", "no section"),
        ("## Unreleased\n\n### Added\n", "Unreleased says nothing"),
        ("## Unreleased\n- New.\n\n## 0.2.0 - 2026-01-31\n", "0.2.0 says nothing"),
        ("## 0.1.0\n- First.\n", "begins with 0.1.0"),
        ("## Unreleased\n- New.\n\n## 0.1.0\n- First.\n", "0.2.0 was released without an entry"),
    ],
)
def test_a_change_log_that_says_too_little_is_told(text: str, words: str) -> None:
    assert words in trouble(text, "0.2.0")


def test_a_change_log_before_the_first_release_and_after_it_are_right() -> None:
    assert trouble("## Unreleased\n- New.\n", "0.1.0") == ""
    assert trouble("## 0.1.0 - 2026-01-31\n- First.\n", "0.1.0") == ""


SCRIPTS = ["scripts/demo", "scripts/test", "scripts/check", "scripts/docs", ".ci/run"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / script
    assert path.exists()
    assert path.stat().st_mode & 0o111, f"{script} is not executable"
