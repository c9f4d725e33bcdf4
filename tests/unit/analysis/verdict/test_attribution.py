"""Tying a gain to the edited functions; expected values by hand."""

import math

import pytest

from perfhunt.analysis.change.changed_frames import is_frame_of
from perfhunt.analysis.change.packages import belongs, installed
from perfhunt.analysis.verdict.attributed.attribution import amdahl, attribute
from perfhunt.analysis.verdict.attributed.demand import wilson
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Frame, Profile, ProfileMode
from perfhunt.model.verdict.attribution import Measured
from perfhunt.model.verdict.change import Atom, Change, Kind, Links

SLOW = Atom(Kind.CODE, "shop/db.py", "Store.find")


def measured(completed: float = 100.0, cpu: float | None = 1.0, **weights: float) -> Measured:
    """A CPU profile of stacks named main__find: 1000 looks."""
    stacks = {
        tuple(Frame(f, "/srv/shop/db.py") for f in names.split("__")): w
        for names, w in weights.items()
    }
    return Measured(Profile("py-spy", "0.4", ProfileMode.CPU, 100, 10, stacks), completed, cpu)


def change(*atoms: Atom) -> Change:
    return Change("/srv", "b", "", atoms)


def test_demand_is_the_share_of_samples_times_cpu_per_request() -> None:
    found = attribute(
        change(SLOW),
        measured(main__find=500, main__other=500),
        measured(200, main__find=100, main__other=900),
    )
    (demand,) = found.demands
    assert demand.before.value == pytest.approx(0.5 * 1.0 / 100)
    assert demand.after.value == pytest.approx(0.1 * 1.0 / 200)
    assert demand.word == "shrunk"


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (0, 0, "unseen"),
        (0, 300, "appeared"),
        (300, 0, "vanished"),
        (100, 400, "grown"),
        (400, 100, "shrunk"),
        (300, 310, "same"),
    ],
)
def test_the_word_for_each_way_demand_can_go(before: int, after: int, word: str) -> None:
    found = attribute(
        change(SLOW),
        measured(main__find=before, main__other=1000 - before),
        measured(main__find=after, main__other=1000 - after),
    )
    assert found.demands[0].word == word


def test_amdahl_bounds_by_hand() -> None:
    assert amdahl(0.0) == 0.0
    assert amdahl(0.5) == pytest.approx(1.0)
    assert amdahl(0.75) == pytest.approx(3.0)
    assert amdahl(1.0) == math.inf


def test_wilson_by_the_books_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17: 81 of 263 gives 0.2553 to 0.3662.
    found = wilson(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_a_gain_beyond_the_bound_is_not_explained_and_says_so() -> None:
    before, after = measured(main__find=100, main__other=900), measured(main__other=1000)
    # 10 % of samples (at most 12.0 %): at most 13.7 % more capacity.
    found = attribute(change(SLOW), before, after, Interval(0.4, 0.3, 0.5, 10))
    assert found.explained is False
    assert found.bound == pytest.approx(1 / (1 - wilson(100, 1000).high) - 1)
    assert "work was dropped" in found.sentences[-1]


def test_a_gain_whose_low_end_is_inside_the_bound_is_explained() -> None:
    found = attribute(
        change(SLOW),
        measured(main__find=500, main__other=500),
        measured(main__other=1000),
        Interval(1.1, 0.8, 1.4, 10),
    )
    assert found.explained is True


def test_an_edit_of_configuration_has_no_bound() -> None:
    found = attribute(
        change(Atom(Kind.CONFIG, ".env", "POOL")),
        measured(a=1),
        measured(a=1),
        Interval(1.0, 0.9, 1.1, 10),
    )
    assert (found.bound, found.explained) == (None, None)
    assert "config" in found.sentences[-1]


def test_cost_that_moves_to_an_unedited_function_is_named() -> None:
    found = attribute(
        change(SLOW),
        measured(main__find=600, main__other=400),
        measured(main__find=100, main__dumps=500, main__other=400),
    )
    assert [d.function for d in found.moved] == ["dumps"]


def test_cost_that_goes_away_has_not_moved() -> None:
    found = attribute(
        change(SLOW),
        measured(100, main__find=600, main__other=400),
        measured(100, 0.4, main__other=400),
    )
    assert found.moved == ()


def test_empty_profiles_bound_nothing_and_do_not_fail() -> None:
    found = attribute(change(SLOW), measured(), measured(), Interval(0.1, 0.05, 0.2, 10))
    assert (found.bound, found.explained) == (math.inf, True)


@pytest.mark.parametrize(
    ("function", "file", "ours"),
    [
        ("find", "shop/db.py", True),
        ("find", "/srv/app/shop/db.py", True),
        ("find", "db.py", True),
        ("Store.find", "shop/db.py", True),
        ("main.(*Store).find", "shop/db.py", True),
        ("org.shop.Store.find(java.lang.String)", "db.py", True),
        ("find", "other/db.py", False),
        ("find_all", "shop/db.py", False),
        ("find", "", True),
    ],
)
def test_a_frame_is_known_by_function_and_end_of_path(function: str, file: str, ours: bool) -> None:
    assert is_frame_of(Frame(function, file), SLOW) is ours


def package(name: str, *modules: str) -> Atom:
    symbols = tuple(f"import:{module}" for module in (name, *modules))
    return Atom(Kind.DEPENDENCY, "requirements.txt", name, links=Links(defines=symbols))


def of_a_library(
    convert: float, escape: float, other: float, venv: str = "/srv/.venv", completed: float = 100.0
) -> Measured:
    """Stacks of a view that calls a library, which calls a function of its own, and other work."""
    library = f"{venv}/lib/python3.11/site-packages/markdown"
    view = Frame("page", "/srv/shop/pages.py")
    inner = Frame("escape", f"{library}/util.py")
    outer = Frame("convert", f"{library}/core.py")
    stacks = {
        (view, outer): convert,
        (view, outer, inner): escape,
        (view, Frame("dumps", "/srv/shop/json.py")): other,
    }
    return Measured(Profile("py-spy", "0.4", ProfileMode.CPU, 100, 10, stacks), completed, 1.0)


def test_a_new_version_of_a_package_is_attributed_to_those_of_its_functions_that_changed() -> None:
    before, after = of_a_library(100, 700, 200), of_a_library(100, 0, 200, "/tmp/other/.venv")
    found = attribute(change(package("markdown")), before, after, Interval(1.1, 0.8, 1.4, 10))
    assert {(d.function, d.file, d.word) for d in found.demands} == {
        ("markdown", "requirements.txt", "shrunk"),
        ("convert", "markdown/core.py", "shrunk"),
        ("escape", "markdown/util.py", "vanished"),
    }
    # 800 of 1000 samples at one core and 100 requests a second; 100 of 300 afterwards.
    assert found.demands[0].before.value == pytest.approx(0.008)
    assert found.demands[0].after.value == pytest.approx(0.01 / 3)
    assert found.bound == pytest.approx(1 / (1 - wilson(800, 1000).high) - 1)
    assert found.explained is True and found.shifted == ()
    assert "markdown has shrunk from 8 ms (7.74 ms to 8.24 ms) to 3.33 ms" in found.sentences[0]
    assert any("The code of markdown had 80" in sentence for sentence in found.sentences)
    assert not any("No function was edited" in sentence for sentence in found.sentences)


def test_what_a_package_did_not_change_is_not_among_its_functions() -> None:
    same = of_a_library(100, 700, 200)
    found = attribute(change(package("markdown")), same, of_a_library(110, 690, 200))
    assert [(d.function, d.word) for d in found.demands] == [("markdown", "same")]


@pytest.mark.parametrize(
    ("file", "ours"),
    [
        ("/srv/.venv/lib/python3.11/site-packages/yaml/loader.py", True),
        ("/usr/lib/python3/dist-packages/yaml/loader.py", True),
        ("/srv/lib/site-packages/_yaml.cpython-311-x86_64-linux-gnu.so", True),
        ("/srv/.venv/lib/python3.11/site-packages/yamllint/cli.py", False),
        ("/srv/yaml/loader.py", False),
        ("", False),
    ],
)
def test_a_frame_is_a_packages_by_the_modules_that_it_installs(file: str, ours: bool) -> None:
    assert belongs(Frame("load", file), package("pyyaml", "yaml", "_yaml")) is ours


def test_packages_of_other_languages_are_found_where_they_lie() -> None:
    chalk = Frame("red", "/srv/node_modules/listr/node_modules/@scope/chalk/index.js")
    assert belongs(chalk, package("@scope/chalk")) and not belongs(chalk, package("listr"))
    gin = Frame("gin.(*Engine).Serve", "/root/go/pkg/mod/github.com/gin/gin@v1.9.1/gin.go")
    assert belongs(gin, package("github.com/gin/gin"))
    assert installed(gin.file) == "github.com/gin/gin/gin.go"


def test_where_nothing_edited_has_frames_what_moved_is_named_without_a_cause() -> None:
    before, after = of_a_library(100, 700, 200), of_a_library(100, 100, 200)
    for atom in (Atom(Kind.CONFIG, ".env", "SAFE"), package("orjson")):
        found = attribute(change(atom), before, after, Interval(1.0, 0.9, 1.1, 10))
        assert found.demands == () and found.bound is None and found.explained is None
        assert found.shifted[0].function == "escape" and found.shifted[0].word == "shrunk"
        assert "no proof of a cause" in found.sentences[-1]
        assert any("escape has shrunk from 7 ms" in sentence for sentence in found.sentences)
    still = attribute(change(Atom(Kind.CONFIG, ".env", "SAFE")), before, before)
    assert still.shifted == () and "no function's demand changed" in still.sentences[-1]
