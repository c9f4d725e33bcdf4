"""Before and after: what one change did, in a word, with every number the word rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from perfhunt.errors import ExitCode
from perfhunt.model.finding import Caution
from perfhunt.model.interval import Interval
from perfhunt.model.units import Seconds, Share


class Word(StrEnum):
    """What to do about the change.

    KEEP: at least one endpoint is better, none worse. REVERT: the mirror. NO CHANGE: shown to be
    within ±5 %. NOT WORTH IT: whatever it brought is less than the least worth having (+3 %).
    MIXED: better here, worse there; a person decides. INCONCLUSIVE: this much measuring cannot
    tell. INVALID: the comparison itself failed a check.
    """

    KEEP = "KEEP"
    REVERT = "REVERT"
    NO_CHANGE = "NO CHANGE"
    NOT_WORTH_IT = "NOT WORTH IT"
    MIXED = "MIXED"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


# NO CHANGE and NOT WORTH IT say "take it out again, it did nothing", but nothing regressed, which
# is what 0 promises CI.
EXIT_CODES = {
    Word.KEEP: ExitCode.OK,
    Word.NO_CHANGE: ExitCode.OK,
    Word.NOT_WORTH_IT: ExitCode.OK,
    Word.REVERT: ExitCode.REGRESSION,
    Word.MIXED: ExitCode.INCONCLUSIVE,
    Word.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Word.INVALID: ExitCode.INCONCLUSIVE,
}


class EffectDirection(StrEnum):
    """Whether an endpoint moved beyond doubt, at the family's error rate."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Effect:
    """What one endpoint says about the change.

    `speed` is the equivalent change of speed as a share (0.10 = as if everything ran 10 % faster),
    95 % unless it says otherwise. `before` and `after` are typical values in `unit`. `p` is
    two-sided; `sd` is of one paired difference and `smallest` the smallest change seen with 90 %
    power, both shares. `at_least` says of `before` and of `after` whether it is a lower bound.
    """

    endpoint: str
    title: str
    unit: str
    before: float | None
    after: float | None
    speed: Interval
    p: float
    direction: EffectDirection = EffectDirection.UNCLEAR
    sd: Share | None = None
    smallest: Share | None = None
    note: str = ""
    at_least: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word, the reason as a sentence, and how it was reached.

    `method` is paired (both versions restarted side by side), rerun (one new run against a stored
    one), stored (two stored runs) or bench (one command). `smallest` is the smallest change (a
    share) the best endpoint could have seen with 90 % power, and `to_resolve` the further measuring
    a change of `wanted` would need; None where neither can be said. `alpha` is the family-wise
    error the method promises and `spent` the part used by the looks taken so far.
    """

    word: Word
    reason: str
    method: str
    effects: tuple[Effect, ...] = ()
    pairs: int = 0
    looks: int = 0
    seconds: Seconds = 0.0
    alpha: Share = 0.02
    spent: Share = 0.0
    smallest: Share | None = None
    wanted: Share = 0.05
    to_resolve: Seconds | None = None
    noise: str = ""  # where the noise figure came from, as a sentence
    cautions: tuple[Caution, ...] = field(default=())
    next_step: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """0 for KEEP, NO CHANGE and NOT WORTH IT; 90 for REVERT; 91 for MIXED, INCONCLUSIVE and
        INVALID.
        """
        return EXIT_CODES[self.word]

    @property
    def minutes(self) -> float:
        """How long the measuring took."""
        return self.seconds / 60.0

    def effect(self, endpoint: str) -> Effect | None:
        """The effect on one endpoint; None when it was not measured."""
        return next((e for e in self.effects if e.endpoint == endpoint), None)
