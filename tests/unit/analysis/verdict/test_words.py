"""Every word of a verdict, from evidence whose right word is plain by hand."""

import itertools
from dataclasses import replace

import pytest

from perfhunt.analysis.verdict.endpoints import CAPACITY, CPU, KNEE, MEDIAN, BuildReading
from perfhunt.analysis.verdict.pairs import Round
from perfhunt.analysis.verdict.rounds import judge_rounds
from perfhunt.errors import ExitCode
from perfhunt.model.verdict.verdict import EXIT_CODES, EffectDirection, Verdict, Word

ALL = (KNEE.name, MEDIAN.name, CAPACITY.name, CPU.name)


def rounds(n: int, sd: float = 0.01, **speed: float) -> list[Round]:
    """n rounds of 30 s whose differences have exactly that mean and (n even) alternate around
    it.
    """
    signs = itertools.cycle((1.0, -1.0))
    side = BuildReading({}, {"cpu": 0.01})
    return [
        Round(i, side, side, {name: speed.get(name, 0.0) + sd * sign for name in ALL}, 30.0)
        for i, sign in zip(range(n), signs, strict=False)
    ]


def word(verdict: Verdict) -> Word:
    return verdict.word


def test_one_endpoint_better_and_none_worse_is_kept_with_the_number_in_the_reason() -> None:
    verdict = judge_rounds(rounds(6, cpu=0.10))
    assert verdict.word is Word.KEEP
    assert "CPU per request is as if 10.5 % faster" in verdict.reason
    assert verdict.exit_code == ExitCode.OK
    effect = verdict.effect("cpu")
    assert effect is not None
    assert effect.direction is EffectDirection.BETTER
    assert effect.speed.low > 0


def test_one_endpoint_worse_is_reverted_and_exits_90() -> None:
    verdict = judge_rounds(rounds(6, capacity=-0.10))
    assert verdict.word is Word.REVERT
    assert verdict.exit_code == ExitCode.REGRESSION


def test_better_here_and_worse_there_is_for_a_person_to_weigh() -> None:
    verdict = judge_rounds(rounds(8, cpu=0.10, median=-0.10))
    assert verdict.word is Word.MIXED
    assert verdict.exit_code == ExitCode.INCONCLUSIVE


def test_nothing_moved_and_shown_to_be_within_five_percent_is_no_change_and_fails_no_build() -> (
    None
):
    verdict = judge_rounds(rounds(8))
    assert verdict.word is Word.NO_CHANGE
    assert verdict.exit_code == ExitCode.OK


def test_a_certain_gain_of_one_percent_is_not_a_reason_to_keep_anything() -> None:
    verdict = judge_rounds(rounds(8, sd=0.002, cpu=0.01))
    assert verdict.word is Word.NO_CHANGE


def test_at_the_end_a_build_that_cannot_be_three_percent_faster_is_not_worth_it() -> None:
    slower = rounds(4, sd=0.02, **dict.fromkeys(ALL, -0.035))
    assert word(judge_rounds(slower, final=True)) is Word.NOT_WORTH_IT
    assert word(judge_rounds(slower, final=False)) is Word.INCONCLUSIVE


def test_noise_is_inconclusive_and_says_what_it_could_have_seen_and_what_it_takes() -> None:
    verdict = judge_rounds(rounds(4, sd=0.12, cpu=0.02))
    assert verdict.word is Word.INCONCLUSIVE
    assert verdict.exit_code == ExitCode.INCONCLUSIVE
    assert verdict.smallest is not None
    assert verdict.smallest > 0.12
    assert verdict.to_resolve is not None
    assert verdict.to_resolve % 30.0 == 0.0
    assert "The smallest change this could have seen is" in verdict.reason
    assert "minutes more" in verdict.reason


def test_too_many_rounds_that_failed_their_checks_are_invalid_and_say_why() -> None:
    good = rounds(6, cpu=0.2)
    spoiled = [replace(r, invalid="the generator was late") if r.number < 3 else r for r in good]
    verdict = judge_rounds(spoiled)
    assert verdict.word is Word.INVALID
    assert "the generator was late" in verdict.reason


def test_a_build_that_answers_with_errors_is_reverted_however_quick_its_errors_are() -> None:
    quick = [replace(r, head=replace(r.head, failed=0.05)) for r in rounds(6, cpu=0.5, median=0.5)]
    verdict = judge_rounds(quick)
    assert verdict.word is Word.REVERT
    assert "5.00% of its requests fail" in verdict.reason


def test_fewer_than_four_rounds_never_decide() -> None:
    assert word(judge_rounds(rounds(3, cpu=0.5))) is Word.INCONCLUSIVE


def test_every_word_has_an_exit_code() -> None:
    assert set(EXIT_CODES) == set(Word)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_swapping_before_and_after_swaps_keep_and_revert(sign: float) -> None:
    verdict = judge_rounds(rounds(6, cpu=0.1 * sign, median=0.1 * sign))
    assert verdict.word is (Word.KEEP if sign > 0 else Word.REVERT)


def test_an_endpoint_at_which_nothing_happened_in_either_version_says_that_it_says_nothing() -> (
    None
):
    quiet = BuildReading({}, {"knee": 0.0, "cpu": 0.01})
    held = [
        replace(r, base=quiet, head=quiet, speed={**r.speed, "knee": 0.0})
        for r in rounds(6, cpu=0.10)
    ]
    effect = judge_rounds(held).effect("knee")
    assert effect is not None
    assert "says nothing" in effect.note


def test_a_capacity_that_the_offered_rate_cuts_off_in_both_shows_no_equivalence() -> None:
    note = {CAPACITY.name: "it answered all of 400/s: its capacity is at least that"}
    done = rounds(8)
    verdict = judge_rounds(done)
    assert verdict.word is Word.NO_CHANGE and "saturated capacity" in verdict.reason
    side = replace(done[0].base, notes=note)
    verdict = judge_rounds([replace(r, base=side, head=side) for r in done])
    effect = verdict.effect(CAPACITY.name)
    assert effect is not None and effect.at_least == (True, True) and "at least" in effect.note
    assert "saturated capacity" not in verdict.reason
    effect = judge_rounds([replace(r, head=side) for r in done]).effect(CAPACITY.name)
    assert effect is not None and effect.at_least == (False, True)
