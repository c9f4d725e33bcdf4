"""One re-run says what it can, with the noise between two starts in every interval, and refuses to
compare unlike runs.
"""

from dataclasses import replace

import pytest

from perfhunt.analysis.verdict.comparable import environment_differences, question_differences
from perfhunt.analysis.verdict.endpoints import answered
from perfhunt.analysis.verdict.rerun import compare, judge_rerun
from perfhunt.model.knee import Capacity, Knee, NoKnee, NoKneeCode
from perfhunt.model.question import Question
from perfhunt.model.run import Run
from perfhunt.model.slo import Slo
from perfhunt.model.trial import Phase, RouteResult, Trial
from perfhunt.model.verdict.verdict import EffectDirection, Verdict, Word
from perfhunt.reports.verdict_text import verdict_lines
from perfhunt.stories.verification import verify_rerun
from tests.sample_run import moved, sample_run
from tests.unit.trials import QUICK

BEFORE = sample_run()
assert isinstance(BEFORE.knee, Knee)
KNEE: Knee = BEFORE.knee


def judged(factor: float) -> Verdict:
    return judge_rerun(BEFORE, moved(BEFORE, factor))


def test_a_service_half_as_fast_again_is_kept_and_the_assumed_noise_is_stated() -> None:
    verdict = judged(1.5)
    assert verdict.word is Word.KEEP
    assert "3% per run, assumed" in verdict.noise
    knee = verdict.effect("knee")
    assert knee is not None
    assert knee.speed.value == pytest.approx(0.5)
    assert knee.speed.low > 0.0


def test_a_service_much_slower_is_reverted() -> None:
    assert judged(0.6).word is Word.REVERT


@pytest.mark.parametrize("factor", [0.97, 1.0, 1.03, 1.05])
def test_a_move_within_the_noise_of_two_starts_is_never_kept_nor_reverted(factor: float) -> None:
    verdict = judged(factor)
    assert verdict.word in (Word.INCONCLUSIVE, Word.NO_CHANGE, Word.NOT_WORTH_IT)
    assert verdict.smallest is not None
    assert verdict.smallest > 0.05


def test_the_interval_of_one_rerun_is_at_least_as_wide_as_two_starts_scatter() -> None:
    effects = judged(1.1).effects
    assert {effect.endpoint for effect in effects} >= {"knee", "capacity"}
    for effect in effects:
        assert effect.speed.high - effect.speed.low > 2 * 1.96 * 0.03


def test_swapping_the_runs_turns_the_effects_round() -> None:
    there, back = judge_rerun(BEFORE, moved(BEFORE, 1.5)), judge_rerun(moved(BEFORE, 1.5), BEFORE)
    assert there.word is Word.KEEP
    assert back.word is Word.REVERT


def test_a_fix_that_moved_the_knee_beyond_what_was_tried_counts_as_at_least_that() -> None:
    after = replace(
        moved(BEFORE, 1.5), knee=NoKnee(NoKneeCode.BELOW_MAX_RATE, "held everywhere", low=400.0)
    )
    effect = judge_rerun(BEFORE, after).effect("knee")
    assert effect is not None
    assert "at least this" in effect.note and effect.at_least == (False, True)
    assert effect.speed.value == pytest.approx(400.0 / KNEE.rate - 1.0)


@pytest.mark.parametrize("cut", [(False, True), (True, False), (True, True)])
def test_a_capacity_that_the_offered_rate_cut_off_is_a_lower_bound(cut: tuple[bool, bool]) -> None:
    runs = []
    for run, bound in zip((BEFORE, moved(BEFORE, 1.0)), cut, strict=True):
        assert run.capacity is not None
        note = "at least: the service kept up with all that was offered" if bound else ""
        runs.append(replace(run, capacity=replace(run.capacity, note=note)))
    verdict = judge_rerun(runs[0], runs[1])
    effect = verdict.effect("capacity")
    assert effect is not None and effect.at_least == cut
    assert effect.note.endswith("says nothing" if all(cut) else "at least this")
    (row,) = (line for line in verdict_lines(verdict) if "saturated capacity" in line)
    assert row.count("at least ") - row.count("at least this") == sum(cut)


def test_a_run_that_tried_less_than_the_old_knee_says_nothing_about_the_knee() -> None:
    after = replace(BEFORE, knee=NoKnee(NoKneeCode.BELOW_MAX_RATE, "held everywhere", low=100.0))
    assert judge_rerun(BEFORE, after).effect("knee") is None


def test_a_build_that_misses_at_the_baseline_rate_moved_left_by_at_least_that() -> None:
    after = replace(
        moved(BEFORE, 0.5), knee=NoKnee(NoKneeCode.MISSED_AT_BASELINE, "missed at once")
    )
    verdict = judge_rerun(BEFORE, after)
    effect = verdict.effect("knee")
    assert effect is not None
    assert effect.speed.value < -0.5
    assert verdict.word is Word.REVERT


def with_cpu(run: Run, *costs: float) -> Run:
    """A run whose trials near the knee, or whose baseline alone, cost so much CPU per request."""

    def costing(trial: Trial, cost: float) -> Trial:
        assert trial.resources is not None
        seconds = answered(trial) * cost
        return replace(trial, resources=replace(trial.resources, cpu_seconds=seconds))

    assert run.baseline is not None
    if len(costs) == 1:
        return replace(run, trials=(), baseline=costing(run.baseline, costs[0]))
    passed = replace(run.baseline, step=replace(run.baseline.step, phase=Phase.PASS))
    return replace(run, trials=tuple(costing(passed, cost) for cost in costs))


def test_a_tick_more_of_cpu_in_one_baseline_is_no_regression() -> None:
    before, after = (with_cpu(BEFORE, tick * 0.01 / 131) for tick in (7, 8))
    effect = judge_rerun(before, after).effect("cpu")
    assert effect is not None and effect.direction is EffectDirection.UNCLEAR


def test_two_trials_that_agree_by_luck_are_less_certain_than_many() -> None:
    pair, many = [1e-3, 1.0001e-3], [1e-3, 1.0001e-3] * 8
    reach = []
    for costs in (pair, many):
        before, after = with_cpu(BEFORE, *costs), with_cpu(BEFORE, *(1.1 * c for c in costs))
        effect = judge_rerun(before, after).effect("cpu")
        assert effect is not None
        reach.append(effect.speed.high - effect.speed.low)
    assert reach[0] > 1.5 * reach[1]


def test_errors_that_were_not_there_before_revert_a_build_that_looks_twice_as_fast() -> None:
    after = moved(BEFORE, 2.0)
    assert after.baseline is not None
    n = after.baseline.n
    after = replace(
        after,
        baseline=replace(after.baseline, outcomes={"ok": n // 2, "status": n - n // 2}),
        trials=(),
    )
    assert judge_rerun(BEFORE, after).word is Word.REVERT


def test_unlike_questions_are_refused_with_the_difference() -> None:
    other = replace(
        BEFORE, question=replace(BEFORE.question, ramp=replace(BEFORE.question.ramp, budget=123.0))
    )
    found = compare(BEFORE, other)
    assert isinstance(found, tuple)
    assert found == (f"ramp.budget: {BEFORE.question.ramp.budget} -> 123.0",)
    assert judge_rerun(BEFORE, other).word is Word.INVALID


def test_another_url_or_pid_is_the_same_question() -> None:
    elsewhere = replace(
        BEFORE.question, target=replace(BEFORE.question.target, url="http://127.0.0.1:9999")
    )
    assert question_differences(BEFORE.question, elsewhere) == ()


def test_another_slo_is_another_question() -> None:
    other: Question = replace(BEFORE.question, slo=Slo(()))
    assert question_differences(BEFORE.question, other) != ()


def test_a_host_with_other_packages_is_invalid_unless_the_change_is_the_package() -> None:
    before = replace(
        BEFORE, environment=replace(BEFORE.environment, distributions={"flask": "3.0"})
    )
    after = moved(
        replace(before, environment=replace(before.environment, distributions={"flask": "3.1"})),
        1.5,
    )
    verdict = judge_rerun(before, after)
    assert verdict.word is Word.INVALID
    assert "distributions.flask: 3.0 -> 3.1" in verdict.reason
    assert judge_rerun(before, after, explained=frozenset({"distributions"})).word is Word.KEEP


def test_more_workers_than_before_is_a_difference() -> None:
    assert BEFORE.target is not None
    grown = replace(
        BEFORE, target=replace(BEFORE.target, workers=(*BEFORE.target.workers, 999_999))
    )
    assert any("worker processes" in d for d in environment_differences(BEFORE, grown))


def test_the_environment_variable_that_changed_is_named() -> None:
    a, b = (
        replace(
            BEFORE, environment=replace(BEFORE.environment, env_sha256=h, variables={"POOL": h})
        )
        for h in ("aa", "bb")
    )
    assert environment_differences(a, b) == ("environment variable POOL",)


def test_comparing_two_stored_runs_is_a_verdict_by_the_same_rules() -> None:
    verdict = compare(BEFORE, moved(BEFORE, 1.5))
    assert isinstance(verdict, Verdict)
    assert verdict.word is Word.KEEP
    assert verdict.method == "stored"


def test_verify_asks_the_stored_question_and_judges_the_answer() -> None:
    asked = []

    def investigate(question: Question) -> Run:
        asked.append(question)
        return moved(BEFORE, 1.5)

    verdict, new = verify_rerun(BEFORE, investigate)
    assert asked == [BEFORE.question]
    assert new.id == "after"
    assert verdict.word is Word.KEEP


def test_without_a_capacity_the_other_endpoints_still_judge() -> None:
    none: Capacity | None = None
    verdict = judge_rerun(BEFORE, replace(moved(BEFORE, 1.5), capacity=none))
    assert verdict.effect("capacity") is None
    assert verdict.word is Word.KEEP


def with_sizes(run: Run, sizes: dict[int, int]) -> Run:
    home = RouteResult(QUICK, QUICK, {200: 1000}, {"ok": 1000}, sizes=sizes)
    assert run.baseline is not None
    return replace(run, baseline=replace(run.baseline, routes={"home": home}))


def test_a_fix_whose_answers_are_much_shorter_is_kept_with_a_caution() -> None:
    before, after = with_sizes(BEFORE, {14: 500}), moved(BEFORE, 1.5)
    alike = judge_rerun(before, with_sizes(after, {14: 480, 7: 20}))
    shorter = judge_rerun(before, with_sizes(after, {14: 20, 7: 480}))
    assert (alike.word, shorter.word) == (Word.KEEP, Word.KEEP)
    assert not alike.cautions
    (caution,) = shorter.cautions
    assert caution.sentence.startswith("96 % of the answers to home are not half as long")
    assert caution.sentence in "\n".join(verdict_lines(shorter)).replace("\n    ", " ")
