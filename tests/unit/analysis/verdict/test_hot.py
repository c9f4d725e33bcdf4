"""The hot lines of an edit, counted by hand."""

from __future__ import annotations

from perfhunt.analysis.verdict.attributed.hot import LEAST, MOST, hot_lines
from perfhunt.model.profile import Frame, Profile, ProfileMode, Stack
from perfhunt.model.verdict.attribution import HotLine
from perfhunt.model.verdict.change import Atom, Change, Edit, Kind

EDITED = Atom(Kind.CODE, "shop/pricing.py", "price", after=(10, 20))
CHANGE = Change("/srv", "base", "", (EDITED,))


def at(line: int | None, function: str = "price", file: str = "/srv/shop/pricing.py") -> Frame:
    return Frame(function, file, line)


def profile(stacks: dict[Stack, float]) -> Profile:
    return Profile("py-spy", "0.4.1", ProfileMode.GIL, 100.0, 10.0, stacks)


def test_lines_come_hottest_first_with_their_share_of_all_samples() -> None:
    stacks: dict[Stack, float] = {
        (at(12),): 30.0,
        (at(15), at(3, "other")): 50.0,
        (at(99, "main", "/srv/m.py"),): 20.0,
    }
    assert hot_lines(CHANGE, profile(stacks)) == (
        HotLine("shop/pricing.py", 15, "price", 0.5),
        HotLine("shop/pricing.py", 12, "price", 0.3),
    )


def test_a_line_counts_once_however_deep_its_function_calls_itself() -> None:
    (hot,) = hot_lines(CHANGE, profile({(at(12),) * 3: 10.0}))
    assert hot.share == 1.0


def test_lines_outside_of_the_edit_are_none_of_it() -> None:
    stacks: dict[Stack, float] = {
        (at(9),): 1.0,
        (at(21),): 1.0,
        (at(None),): 1.0,
        (at(12, file="/srv/a.py"),): 1.0,
    }
    assert hot_lines(CHANGE, profile(stacks)) == ()


def test_what_was_removed_has_no_line_now() -> None:
    gone = Atom(Kind.CODE, "shop/pricing.py", "price", Edit.REMOVED, before=(10, 20))
    change = Change("/srv", "base", "", (gone,))
    assert hot_lines(change, profile({(at(12),): 1.0})) == ()


def test_cold_lines_are_left_out_and_no_more_are_told_than_shown() -> None:
    many = Atom(Kind.CODE, "shop/pricing.py", "price", after=(1, 900))
    change = Change("/srv", "base", "", (many,))
    warm: dict[Stack, float] = {(at(line),): 100.0 for line in range(1, 31)}
    cold: dict[Stack, float] = {(at(500),): 3000 * LEAST / 2}
    assert len(hot_lines(change, profile(warm | cold))) == MOST
    assert hot_lines(change, profile(cold | {(at(1),): 3000.0}))[1:] == ()
