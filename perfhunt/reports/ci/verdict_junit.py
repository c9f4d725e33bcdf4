"""A verdict as JUnit XML: one test case per endpoint, and one for the word."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from perfhunt.errors import ExitCode
from perfhunt.model.text.escaping import visible
from perfhunt.model.verdict.verdict import Effect, EffectDirection, Verdict
from perfhunt.reports.ci.judged_change import JudgedChange
from perfhunt.reports.junit import problem, suite_of
from perfhunt.reports.verdict_text import effect_cells

SUITE = "perfhunt.change"


def verdict_junit(judged: JudgedChange) -> str:
    """The XML. An endpoint that is worse beyond doubt is a failure, as is REVERT; a word that says
    nothing about the change is an error.
    """
    verdict = judged.verdict
    worse = [e for e in verdict.effects if e.direction is EffectDirection.WORSE]
    failed = verdict.exit_code is ExitCode.REGRESSION
    unsure = verdict.exit_code is ExitCode.INCONCLUSIVE
    suites, suite = suite_of(
        SUITE,
        tests=len(verdict.effects) + 1,
        failures=len(worse) + failed,
        errors=int(unsure),
        seconds=verdict.seconds,
    )
    ET.SubElement(suite, "properties").extend(_properties(judged))
    for effect in verdict.effects:
        case = _case(suite, effect.title)
        if effect in worse:
            problem(case, "failure", "worse", _moved(effect))
    case = _case(suite, "the change")
    if failed or unsure:
        problem(case, "failure" if failed else "error", verdict.word, _words(verdict))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _case(suite: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=SUITE, name=visible(name), time="0")


def _properties(judged: JudgedChange) -> list[ET.Element]:
    pairs = {"run": judged.id, "verdict": judged.verdict.word, "sentence": judged.verdict.reason}
    return [ET.Element("property", name=k, value=visible(v)) for k, v in pairs.items()]


def _moved(effect: Effect) -> str:
    _, title, before, after, speed, _ = effect_cells(effect)
    return f"{title} was {before} and is {after}; as a change of speed {speed}"


def _words(verdict: Verdict) -> str:
    return f"{verdict.word}: {verdict.reason}"
