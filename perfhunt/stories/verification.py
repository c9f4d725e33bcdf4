"""STORY TWO: one change, the same question again, a verdict. Start reading at `verify_paired`.

    plan -> rounds (start both, the same slices of load to each, end both) -> look -> ... -> Verdict

`verify_rerun` asks the stored question once more of a running process; `verify_paired` starts both
versions itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from perfhunt.analysis.verdict import calibration as analysis_of_noise
from perfhunt.analysis.verdict.calibration import Calibration
from perfhunt.analysis.verdict.endpoints import read, speeds
from perfhunt.analysis.verdict.pairs import (
    BASE,
    HEAD,
    Round,
    Slice,
    first_of,
    slices,
    usable,
)
from perfhunt.analysis.verdict.rerun import judge_rerun
from perfhunt.analysis.verdict.rounds import DEFAULT_ANALYSIS, AnalysisPlan, judge_rounds
from perfhunt.analysis.verdict.sequential import LOOKS, next_look
from perfhunt.errors import PerfhuntError
from perfhunt.model.question import Question
from perfhunt.model.run import Began, Noted, Run
from perfhunt.model.trial import Drain, Phase, Trial
from perfhunt.model.units import Seconds, format_duration
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.stories.pair_bench import PairBench, StartedVersion
from perfhunt.stories.paired_question import PairedQuestion

# Pays for every look at 40 s a round.
BUDGET: Seconds = 840.0
# Identical pairs: enough for a standard deviation known to within a factor of two (chi-square, 7
# degrees of freedom).
CALIBRATION_ROUNDS = 8
# The longest wait for a saturated version to be itself again before its next slice.
BETWEEN = Drain(cap=20.0)


def verify_paired(
    paired_question: PairedQuestion,
    bench: PairBench,
    budget: Seconds = BUDGET,
    analysis: AnalysisPlan = DEFAULT_ANALYSIS,
) -> Verdict:
    """The verdict of base against head, restarted side by side round after round until a look
    decides or time is up.

    Looks come after the numbers of rounds fixed in `sequential.LOOKS`; no new stretch begins that
    the budget cannot pay for. Raises Stopped, TargetDied, LoadFailed; both versions are ended
    whatever happens.
    """
    rounds, began = bench.rounds, bench.clock()
    if (first := LOOKS[0] * paired_question.plan.load) > budget:
        bench.watch(
            Noted(
                f"a service this slow takes {format_duration(paired_question.plan.load)} a round:"
                f" the first look comes after {LOOKS[0]} of them, in {format_duration(first)}"
            )
        )
    try:
        while True:
            rounds.append(run_round(len(rounds), paired_question, bench))
            n = len(usable(rounds))
            hopeless = len(rounds) - n >= LOOKS[0]
            if not hopeless and (rounds[-1].invalid or n not in LOOKS):
                continue
            last = hopeless or not _affordable(rounds, bench.clock() - began, budget)
            verdict = judge_rounds(rounds, analysis, final=last)
            bench.watch(Noted(f"after {n} rounds: {verdict.word}, {verdict.reason}"))
            if last or verdict.word is not Word.INCONCLUSIVE:
                return replace(verdict, next_step=_next_step(verdict))
    finally:
        bench.close()


def verify_rerun(
    stored: Run,
    investigate: Callable[[Question], Run],
    calibration: Calibration | None = None,
    explained: frozenset[str] = frozenset(),
) -> tuple[Verdict, Run]:
    """The stored question asked again, and the verdict, restart noise in every interval.

    `explained` names what of the environment the change accounts for (`distributions` for a
    dependency).
    """
    new = investigate(stored.question)
    return judge_rerun(stored, new, calibration, explained), new


def calibrate(
    paired_question: PairedQuestion, bench: PairBench, rounds: int = CALIBRATION_ROUNDS
) -> Calibration:
    """This host's noise, from rounds in which both versions are the same build (the starter's base
    and head alike).
    """
    try:
        done = [run_round(number, paired_question, bench) for number in range(rounds)]
    finally:
        bench.close()
    try:
        return analysis_of_noise.calibrate(done)
    except ValueError as error:
        reasons = sorted({r.invalid for r in done if r.invalid})
        raise PerfhuntError(
            f"{error}: {'; '.join(reasons)}", "perfhunt doctor names what disturbs this host"
        ) from error


def run_round(number: int, paired_question: PairedQuestion, bench: PairBench) -> Round:
    """One life of each version: both started, sent the same slices in mirrored order, ended."""
    began, plan = bench.clock(), paired_question.plan
    bench.watch(Began("round", f"round {number + 1}: both versions restarted", plan.load))
    planned = slices(plan, number)
    trials: dict[str, list[Trial]] = {BASE: [], HEAD: []}
    slots = {BASE: number % 2, HEAD: 1 - number % 2}  # ports and engines change sides each round
    for together in _lives(number, plan.seed, bench.together):
        _live_through(
            [each for each in planned if each.version in together],
            {version: slots[version] for version in together},
            trials,
            paired_question.question,
            bench,
        )
    base, head = (read(trials[version], paired_question.criterion) for version in (BASE, HEAD))
    done = Round(
        number=number,
        base=base,
        head=head,
        speed=speeds(base, head, paired_question.slopes),
        seconds=bench.clock() - began,
        invalid=_invalid([*trials[BASE], *trials[HEAD]]),
    )
    bench.watch(Noted(_round_sentence(done)))
    return done


def _lives(number: int, seed: int, together: bool) -> list[tuple[str, ...]]:
    """Which versions live at the same time, in order."""
    if together:
        return [(BASE, HEAD)]
    first = first_of(number, seed)
    return [(first,), (HEAD if first == BASE else BASE,)]


def _live_through(
    planned: Sequence[Slice],
    slots: Mapping[str, int],
    trials: Mapping[str, list[Trial]],
    question: Question,
    bench: PairBench,
) -> None:
    """Start the versions, send each its slices in order, end them whatever happens; trials are
    added per version.
    """
    bench.check()
    started: dict[str, StartedVersion] = {}
    try:
        for version, slot in slots.items():
            started[version] = bench.starter.start(version, slot)
        for running in started.values():
            running.ready(bench.stop)
        for number, each in enumerate(planned, 1):
            trial = bench.try_step(each.step, started[each.version], question)
            trials[each.version].append(trial)
            # What is left after the last slice dies with its process.
            if _leaves_a_queue(trial) and number < len(planned):
                bench.drain(BETWEEN, started[each.version], question)
    finally:
        for running in started.values():
            bench.starter.end(running)


def _leaves_a_queue(trial: Trial) -> bool:
    return bool(trial.overload) or trial.step.phase is Phase.CAPACITY


def _invalid(trials: Sequence[Trial]) -> str:
    """Why a round does not count. A burst is late on purpose, and a warm-up is not read."""
    return next((t.invalid for t in trials if t.invalid and t.step.phase is Phase.FIXED), "")


def _affordable(rounds: Sequence[Round], spent: Seconds, budget: Seconds) -> bool:
    n = len(usable(rounds))
    following = next_look(n)
    each = sum(r.seconds for r in rounds) / len(rounds)
    return following is not None and spent + (following - n) * each <= budget


def _round_sentence(done: Round) -> str:
    if done.invalid:
        return f"round {done.number + 1} does not count: {done.invalid}"
    parts = ", ".join(f"{name} {100 * change:+.1f} %" for name, change in done.speed.items())
    return f"round {done.number + 1} in {format_duration(done.seconds)}, as speed: {parts}"


def _next_step(verdict: Verdict) -> str:
    if verdict.word in (Word.REVERT, Word.NO_CHANGE, Word.NOT_WORTH_IT):
        return "take the change out again (verify --revert does it)"
    if verdict.word is Word.INCONCLUSIVE and verdict.to_resolve:
        return f"measure longer: --budget {format_duration(verdict.seconds + verdict.to_resolve)}"
    return ""
