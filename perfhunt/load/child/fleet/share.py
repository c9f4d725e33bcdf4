"""What a worker is told of a load: what it needs of the question, and no more."""

from __future__ import annotations

import os
from dataclasses import replace

import msgspec

from perfhunt.load.messages import OpenFleet, OpenShare
from perfhunt.model.question import ProcessSelector, Question, Safety
from perfhunt.model.testfile.feed import FeedRow
from perfhunt.model.testfile.template import variables_used


def share_of(order: OpenFleet, sessions: tuple[FeedRow, ...]) -> OpenShare:
    """What each of a fleet's workers is to make ready for; `sessions` are what the logins gave."""
    load = order.load
    return OpenShare(
        load=msgspec.structs.replace(
            load,
            question=_of_workers(load.question),
            killswitch="",  # a file of this host; the workers are told
            in_flight=max(1, load.in_flight // order.workers),
            pin=False,
        ),
        variables=_variables(load.question),
        most=load.question.safety.max_rate / order.workers,
        sessions=sessions,
    )


def _of_workers(question: Question) -> Question:
    """Not how to find the target's process, nor who may stop."""
    target = replace(question.target, process=ProcessSelector())
    return replace(question, target=target, safety=Safety(), source="", login=None)


def _variables(question: Question) -> dict[str, str]:
    """Those of the environment that the traffic names, or a locustfile's options, with their values
    here.
    """
    texts = [text for endpoint in question.traffic for text in endpoint.texts]
    texts += [value for _, values in question.locust_options for value in values]
    names = {name for text in texts for name in variables_used(text)}
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}
