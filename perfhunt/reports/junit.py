"""A run as JUnit XML: one test case per objective, so that CI shows which one failed, with the text
where CI reads it.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from perfhunt.model.knee import NoKnee
from perfhunt.model.run import Run, RunEnd
from perfhunt.model.slo import Judged, Judgement
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Seconds
from perfhunt.reports.verdict_sentence import verdict_sentence
from perfhunt.reports.words import allowed, knee_words, measured

SUITE = "perfhunt.slo"


def junit(run: Run) -> str:
    """The XML. A missed objective is a failure; one without a verdict is an error, as is a run that
    was cut short.
    """
    cut = run.ended != RunEnd.COMPLETE
    failures = sum(j.verdict is Judgement.MISSED for j in run.judged)
    errors = sum(j.verdict is Judgement.UNKNOWN for j in run.judged) + cut
    suites, suite = suite_of(
        SUITE,
        tests=len(run.judged) + cut,
        failures=failures,
        errors=errors,
        seconds=run.seconds,
        started=run.started,
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(run):
        ET.SubElement(properties, "property", name=name, value=visible(value))
    for judged in run.judged:
        _case(suite, run, judged)
    if cut:
        name = "the run was completed"
        case = ET.SubElement(suite, "testcase", classname=SUITE, name=name, time="0")
        problem(case, "error", "cut short", run.ended)
    ET.indent(suites)
    text = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _properties(run: Run) -> tuple[tuple[str, str], ...]:
    none = isinstance(run.knee, NoKnee)
    return (
        ("run", run.id),
        ("verdict", run.verdict.value),
        ("sentence", verdict_sentence(run)),
        ("knee", f"none: {knee_words(run.knee)}" if none else knee_words(run.knee)),
        ("bottleneck", run.bottleneck.category if run.bottleneck else ""),
        ("revision", run.environment.git_revision),
    )


def _case(suite: ET.Element, run: Run, judged: Judged) -> None:
    objective, limit = judged.objective.name, allowed(judged)
    name = visible(f"{objective} {limit}")
    case = ET.SubElement(suite, "testcase", classname=SUITE, name=name, time="0")
    at = f" at {run.judged_at:g}/s" if run.judged_at else ""
    note = f" ({judged.note})" if judged.note else ""
    message = f"{objective} was {measured(judged)}{at}, {limit} asked, n={judged.n}{note}"
    if judged.verdict is Judgement.MISSED:
        problem(case, "failure", "missed", message)
    elif judged.verdict is Judgement.UNKNOWN:
        problem(case, "error", "unknown", message)


def suite_of(
    name: str, *, tests: int, failures: int, errors: int, seconds: Seconds, started: str = ""
) -> tuple[ET.Element, ET.Element]:
    """The root, and in it the one suite, with what is counted; `started` is ISO 8601, UTC."""
    counts = {
        "tests": str(tests),
        "failures": str(failures),
        "errors": str(errors),
        "time": f"{seconds:.3f}",
    }
    suites = ET.Element("testsuites", {"name": "perfhunt", **counts})
    stamp = {"timestamp": visible(started.removesuffix("Z"))} if started else {}
    return suites, ET.SubElement(suites, "testsuite", {"name": name, **stamp, **counts})


def problem(case: ET.Element, tag: str, kind: str, message: str) -> None:
    """Say what is wrong with a case: `tag` is failure or error. GitLab shows the text and not the
    attribute, others the attribute: both hold it.
    """
    ET.SubElement(case, tag, message=visible(message), type=kind).text = visible(message)
