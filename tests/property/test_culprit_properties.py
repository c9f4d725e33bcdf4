"""What must hold of culprits whatever the stacks and the source."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.analysis.blame.culprits.culprits import culprits
from perfhunt.analysis.blame.culprits.source_lines import SourceLines, source_lines
from perfhunt.analysis.blame.culprits.trails import Call, Trail
from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.profile import Frame, Profile, ProfileMode
from tests.unit.scenes import used

APP = "/srv/app.py"
# Each function calls each, once on an odd line and in a loop on an even one.
SOURCE = "".join(
    f"def {name}(x):\n" + "".join(f"    {c}(x)\n    for y in x: {c}(y)\n" for c in "abcde")
    for name in "abcde"
)
LINES = source_lines(SOURCE)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Call, ...]:
    path = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5))
    lines = []
    for name, callee in zip(path, [*path[1:], "a"], strict=True):
        first = 2 + 11 * "abcde".index(name) + 2 * "abcde".index(callee)
        lines.append(Call((name, APP), first + draw(st.integers(0, 1))))
    return tuple(lines)


@st.composite
def trails(draw: st.DrawFn) -> Trail:
    weight = float(draw(st.integers(1, 50)))
    way = draw(calls())
    # Whether it waits is a fact of a function.
    waits = way[-1].key[0] in "ab"
    return Trail(calls=way, inner=False, samples=10 * weight, weight=weight, waits=waits)


@given(st.lists(trails(), max_size=8), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_culprit_stands_above_its_leaf_and_beneath_no_other(
    seen: list[Trail], known: bool
) -> None:
    assert LINES is not None
    sources: dict[str, SourceLines] = {APP: LINES} if known else {}
    found = culprits(seen, sources)
    assert not set(found) & set(found.values())
    for leaf, culprit in found.items():
        below = [t for t in seen if t.leaf == leaf and culprit in {c.key for c in t.calls[:-1]}]
        mine = [t for t in seen if t.leaf == leaf]
        called = [t for t in mine if len(t.calls) > 1]
        # Seen mostly with a caller, those without are stacks that were torn.
        torn = 2 * sum(t.samples for t in called) > sum(t.samples for t in mine)
        whole = sum(t.weight for t in (called if torn else mine))
        assert sum(t.weight for t in below) >= 0.8 * whole - 1e-9


@given(st.lists(st.tuples(calls(), st.integers(1, 200)), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_costs_add_up_to_the_same_with_and_without_culprits(
    seen: list[tuple[tuple[Call, ...], int]],
) -> None:
    stacks = {tuple(Frame(c.key[0], APP, c.line) for c in way): float(n) for way, n in seen}
    profile = Profile("py-spy", "0.4.3", ProfileMode.CPU, 100, 10, stacks)
    span = Span(100.0, profile=profile, resources=used(1.0))
    suspects = suspects_of(read_evidence(Evidence(span, span, sources={APP: SOURCE})))
    joined = suspects.culprits().values()
    assert sum(s.knee.blamed for s in joined) == pytest.approx(0.010)
    assert sum(s.base.blamed for s in joined if s.base) == pytest.approx(0.010)
    leaves = [leaf.key for s in joined for leaf in s.leaves]
    assert sorted(leaves) == sorted(suspects.culprit_of)
    for suspect in joined:
        parts = sum(leaf.blamed for leaf in suspect.leaves)
        own = suspects.by_function.get(suspect.knee.key)
        assert suspect.knee.blamed == pytest.approx(parts + (own.knee.blamed if own else 0.0))
