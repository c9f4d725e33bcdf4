"""The one-change rule on atoms made by hand."""

from typing import Any

import pytest

from perfhunt.analysis.change.one_change import decide, pieces_of, require_one
from perfhunt.errors import ChangeRefused
from perfhunt.model.profile import Frame, Profile, ProfileMode
from perfhunt.model.verdict.change import (
    Atom,
    Change,
    ChangeRefusal,
    Edit,
    FileEdit,
    Kind,
    Links,
    OneChange,
)

FILES = (FileEdit("a.py", "a.py", Edit.CHANGED),)


def code(name: str, file: str = "a.py", **links: Any) -> Atom:
    return Atom(Kind.CODE, file, name, links=Links(**links))


def package(name: str, *needs: str) -> Atom:
    return Atom(
        Kind.DEPENDENCY,
        "uv.lock",
        name,
        links=Links((f"package:python:{name}",), tuple(f"package:python:{n}" for n in needs)),
    )


def change(*atoms: Atom, **more: Any) -> Change:
    return Change("/repo", "b" * 40, "", atoms, files=FILES, **more)


def profile(**shares: float) -> Profile:
    stacks = {
        tuple(Frame(f, "a.py") for f in names.split("__")): weight
        for names, weight in shares.items()
    }
    return Profile("py-spy", "0.4", ProfileMode.WALL, 100, 10, stacks)


def test_a_chain_of_callers_is_one_piece() -> None:
    a = code("a", uses=("b",), defines=("a",))
    b = code("b", uses=("c",), defines=("b",))
    c = code("c", defines=("c",))
    (piece,) = pieces_of((a, b, c))
    assert (piece.code, len(piece.atoms)) == ("connected", 3)


def test_three_separate_functions_are_three_pieces_and_each_is_listed_by_file_and_function() -> (
    None
):
    ruling = decide(change(code("a"), code("b"), Atom(Kind.CODE, "z.py", "c", line=7)))
    assert isinstance(ruling, ChangeRefusal)
    text = "\n".join(ruling.lines())
    assert ruling.code == "two-components"
    assert all(word in text for word in ("a.py  a", "a.py  b", "z.py:7  c"))
    assert "perfhunt split" in ruling.next


def test_two_direct_bumps_that_share_a_transitive_one_are_two() -> None:
    ruling = decide(change(package("flask", "click"), package("typer", "click"), package("click")))
    assert isinstance(ruling, ChangeRefusal) and ruling.code == "two-packages"


def test_packages_that_need_each_other_in_a_ring_are_one() -> None:
    assert isinstance(decide(change(package("a", "b"), package("b", "a"))), OneChange)


def test_a_deep_chain_of_forced_packages_is_one() -> None:
    ruling = decide(change(package("c"), package("b", "c"), package("a", "b")))
    assert isinstance(ruling, OneChange) and len(ruling.pieces[0].atoms) == 3


def test_a_compound_change_is_let_through_with_its_reason_and_is_not_attributable() -> None:
    ruling = decide(change(code("a"), code("b")), compound="they ship together")
    assert isinstance(ruling, OneChange)
    assert (ruling.code, ruling.attributable) == ("compound", False)
    assert ruling.label == "compound, not attributable: they ship together"


def test_a_reason_given_for_one_change_does_not_make_it_compound() -> None:
    ruling = decide(change(code("a")), compound="just in case")
    assert isinstance(ruling, OneChange) and ruling.attributable


def test_nothing_stays_nothing_whatever_the_reason() -> None:
    ruling = decide(
        change(ignored=(Atom(Kind.IGNORED, "README.md", "", detail="docs"),)), compound="please"
    )
    assert isinstance(ruling, ChangeRefusal) and "docs" in ruling.reason


def test_an_edited_test_file_is_noted_beside_the_change() -> None:
    ruling = decide(change(code("a"), question=(Atom(Kind.QUESTION, "perfhunt.toml", ""),)))
    assert isinstance(ruling, OneChange) and "perfhunt.toml" in ruling.notes[0]


def test_one_percent_of_stacks_joins_two_functions_and_less_does_not() -> None:
    atoms = (code("a"), code("b"))
    assert len(pieces_of(atoms, profile(a__b=1, c=99))) == 1
    assert len(pieces_of(atoms, profile(a__b=1, c=100))) == 2


def test_a_function_the_baseline_hardly_saw_is_warned_about() -> None:
    ruling = decide(change(code("a")), profile(b=1000, a=1))
    assert isinstance(ruling, OneChange) and "can hardly matter" in ruling.notes[0]


def test_a_setting_that_was_there_before_is_not_carried_by_code_that_names_it() -> None:
    edited = Atom(Kind.CONFIG, ".env", "POOL", Edit.CHANGED, links=Links(("text:POOL",)))
    new = Atom(Kind.CONFIG, ".env", "POOL", Edit.ADDED, links=Links(("text:POOL",)))
    user = code("a", uses=("text:POOL",))
    assert len(pieces_of((user, edited))) == 2
    assert pieces_of((user, new))[0].code == "carried"


def test_a_refusal_carries_exit_code_92() -> None:
    with pytest.raises(ChangeRefused) as refused:
        require_one(change(code("a"), code("b")))
    assert int(refused.value.exit_code) == 92


def test_the_order_of_atoms_does_not_change_the_ruling() -> None:
    atoms = [code("a", uses=("b",)), code("b", defines=("b",)), code("c")]
    assert {
        len(pieces_of(order)) for order in (atoms, atoms[::-1], [atoms[1], atoms[2], atoms[0]])
    } == {2}
