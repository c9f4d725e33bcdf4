"""When answers of 401 say that sessions ended, and when they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.diagnosis.known.sessions import session_cautions
from perfhunt.model.finding import CautionCode
from perfhunt.model.trial import RouteResult, Trial
from tests.unit.trials import HELD, QUICK


def trial(refused: int, *, expected: bool = False) -> Trial:
    statuses = {200: 1000 - refused} | ({401: refused} if refused else {})
    outcomes = {"ok": 1000} if expected or not refused else {"ok": 1, "status": refused}
    return replace(HELD, routes={"mine": RouteResult(QUICK, QUICK, statuses, outcomes)})


UNANSWERED = replace(HELD, routes={"mine": RouteResult(QUICK, QUICK, {}, {"connect": 9})})


def test_answers_that_become_401_and_stay_so_are_told() -> None:
    (caution,) = session_cautions([trial(0), UNANSWERED, trial(0), trial(7), trial(1000)])
    assert caution.code is CautionCode.SESSION_ENDED
    assert "From trial 3 of 4 on" in caution.sentence
    assert "1,007 in all" in caution.sentence


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [UNANSWERED],
        [trial(0), trial(0)],
        [trial(5), trial(5)],  # from the first on: never logged in
        [trial(0), trial(5), trial(0)],  # under load only
        [trial(0), trial(5, expected=True)],
    ],
)
def test_other_answers_of_401_are_another_matter(trials: list[Trial]) -> None:
    assert session_cautions(trials) == ()
