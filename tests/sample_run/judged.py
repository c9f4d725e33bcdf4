"""A verdict on the sample run's shop, with all that CI shows of one. Every number is made by
hand.
"""

from __future__ import annotations

from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.verdict.attribution import Attribution, Demand, HotLine
from perfhunt.model.verdict.change import Atom, Change, Kind, OneChange, Piece
from perfhunt.model.verdict.verdict import Effect, EffectDirection, Verdict, Word
from perfhunt.reports.ci.judged_change import JudgedChange

ATOM = Atom(Kind.CODE, "shop/pricing.py", "load_rules", line=70, before=(70, 84), after=(70, 90))


def judged_change() -> JudgedChange:
    """An edit of `load_rules` that made it slower: one endpoint worse, one unclear."""
    cpu = Effect(
        endpoint="cpu",
        title="CPU per request",
        unit="s",
        before=0.0034,
        after=0.0051,
        speed=Interval(-0.33, -0.36, -0.3, 8),
        p=1e-6,
        direction=EffectDirection.WORSE,
    )
    capacity = Effect(
        endpoint="capacity",
        title="saturated capacity",
        unit="/s",
        before=162.0,
        after=158.0,
        speed=Interval(-0.024, -0.07, 0.02, 8),
        p=0.2,
    )
    verdict = Verdict(
        word=Word.REVERT,
        reason="CPU per request is 50 % higher, and nothing is better",
        method="paired",
        effects=(cpu, capacity),
        pairs=8,
        looks=2,
        seconds=320.0,
        cautions=(Caution(CautionCode.OUTLIER, "One round was slower than the others."),),
        next_step="take it out again: git apply -R change.patch",
    )
    change = Change("/srv/shop", "3f9c1d2ab44e", "", (ATOM,))
    return JudgedChange(
        target="shop",
        id="20261123T050000Z-2b4c6d",
        verdict=verdict,
        change=OneChange(change, (Piece((ATOM,)),), "one-atom", ""),
        attribution=_attribution(),
    )


def _attribution() -> Attribution:
    demand = Demand(
        function="load_rules",
        file="shop/pricing.py",
        before=Interval(0.0034, 0.0031, 0.0037, 781),
        after=Interval(0.0052, 0.0049, 0.0055, 1204),
        word="grown",
    )
    return Attribution(
        atoms=(ATOM,),
        demands=(demand,),
        share=Interval(0.49, 0.46, 0.52, 1606),
        bound=1.08,
        gain=None,
        explained=None,
        sentences=("load_rules takes 53 % more of a request.",),
        hot=(
            HotLine("shop/pricing.py", 77, "load_rules", 0.41),
            HotLine("shop/pricing.py", 73, "load_rules", 0.08),
        ),
    )
