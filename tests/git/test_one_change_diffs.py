"""The one-change rule on reviewed diffs, each as uncommitted work in a real repository."""

from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

pytest.importorskip(
    "tree_sitter_go", reason="the langs extra is not installed: pip install 'perfhunt[langs]'"
)

from tests.git.diffs.case import Case
from tests.git.diffs.replay import CASES, ruling, said

# What the rule gets wrong, by name, with the reason; a case that comes right must leave the list.
KNOWN_MISSES: dict[str, str] = {}


def _param(case: Case) -> ParameterSet:
    miss = KNOWN_MISSES.get(case.name)
    marks = [pytest.mark.xfail(reason=miss, strict=True)] if miss else []
    return pytest.param(case, id=case.name.replace(" ", "-"), marks=marks)


@pytest.mark.parametrize("case", [_param(c) for c in CASES])
def test_the_rule_agrees_with_the_reviewer(case: Case, tmp_path: Path) -> None:
    assert said(ruling(case, tmp_path)) == case.expect, case.why


def test_there_are_at_least_sixty_reviewed_diffs_and_their_names_are_unique() -> None:
    assert len({c.name for c in CASES}) == len(CASES) >= 60


def test_a_third_of_the_reviewed_diffs_must_be_stopped() -> None:
    assert sum(not c.passes for c in CASES) >= len(CASES) / 3
