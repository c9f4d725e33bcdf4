"""One smoke, from a request to a stored run."""

from __future__ import annotations

from perfhunt.jobs.request import Confirm, InvestigateRequest
from perfhunt.jobs.setup import aimed, question_of, workbench
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.run import EventWatcher, Run, RunKind, unwatched
from perfhunt.stories.smoke import smoke


def run_smoke(
    request: InvestigateRequest, watch: EventWatcher = unwatched, confirm: Confirm | None = None
) -> Run:
    """The run, stored; of the request's profile only whether a miss is looked into. Raises
    PerfhuntError; what was measured until then is stored.
    """
    with (
        aimed(request, question_of(request)) as (question, target),
        workbench(request, question, target, RunKind.SMOKE, watch, confirm) as lab,
    ):
        return smoke(question, lab, profile=request.profile is not ProfilePolicy.OFF)
