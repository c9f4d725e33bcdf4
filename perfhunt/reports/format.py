"""Every format a run can be rendered in: one line here, one module each. All are pure functions of
a Run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfhunt.errors import Unreadable
from perfhunt.model.document.folded import fold
from perfhunt.model.document.redaction import redacted
from perfhunt.model.profile import Profile, ProfileMode
from perfhunt.model.profiles.writers.speedscope import speedscope_text
from perfhunt.model.run import Run
from perfhunt.reports.ci.comment import run_comment
from perfhunt.reports.ci.metrics import openmetrics, otlp
from perfhunt.reports.ci.pictures import knee_svg, waterfall_svg
from perfhunt.reports.ci.trackers import (
    bencher,
    bigger_is_better,
    load_performance,
    smaller_is_better,
)
from perfhunt.reports.html.compared import BeforeAfter
from perfhunt.reports.html.html import html
from perfhunt.reports.junit import junit
from perfhunt.reports.markdown import markdown
from perfhunt.reports.phases import main_phase, phase_words
from perfhunt.reports.pictures.flamegraph import flamegraph
from perfhunt.reports.requests.cost import cost_per_weight
from perfhunt.reports.terminal import terminal
from perfhunt.store.run_json import dumps

_EMPTY = Profile("no profiler", "", ProfileMode.NONE, 0.0, 0.0, {})


@dataclass(frozen=True, slots=True)
class Format:
    """A way to render a run. `file_name` is what it is called in a run directory; `text` is given
    the run without its secrets; `needs_profile`: empty without one.
    """

    name: str
    file_name: str
    help: str
    text: Callable[[Run], str]
    needs_profile: bool = False

    def render(self, run: Run) -> str:
        """The run in this format, redacted. Raises Unreadable for one that holds numbers which no
        run that was measured has: somebody else may have written it.
        """
        return _shown(run, self.name, lambda: self.text(redacted(run)))

    def has_something(self, run: Run) -> bool:
        """Whether rendering this run gives more than an empty shell."""
        return bool(main_phase(run)) or not self.needs_profile


def page_of_change(run: Run, story: BeforeAfter) -> str:
    """The page of a run with the verdict on the change that led to it. Raises Unreadable as
    `Format.render` does.
    """
    return _shown(run, "html", lambda: html(redacted(run), story.redacted()))


def _shown(run: Run, name: str, text: Callable[[], str]) -> str:
    try:
        return text()
    except (ArithmeticError, ValueError) as error:
        raise Unreadable(
            f"run {run.id} cannot be shown as {name}: {type(error).__name__}, {error}",
            "It holds numbers that cannot be. Was it changed? perfhunt history lists others.",
        ) from error


def _flamegraph(run: Run) -> str:
    phase = main_phase(run)
    name = run.question.target.name or run.question.target.url
    title = f"{name} {phase_words(run, phase)}" if phase else f"{name}: no profile was taken"
    return flamegraph(run.profiles.get(phase, _EMPTY), title, cost_per_weight(run, phase))


def _folded(run: Run) -> str:
    phase = main_phase(run)
    return fold(run.profiles[phase].stacks) if phase else ""


def _speedscope(run: Run) -> str:
    """All of its profiles in one file, the knee's shown first."""
    target = run.question.target
    return speedscope_text(run.profiles, f"{target.name or target.url} {run.id}", run.perfhunt)


FORMATS = {
    form.name: form
    for form in (
        Format("terminal", "report.txt", "one screen of plain text", terminal),
        Format("html", "report.html", "one offline file with every picture and table", html),
        Format("markdown", "report.md", "tables for a CI step summary or a pull request", markdown),
        Format("json", "run.json", "everything, as `perfhunt schema` describes it", dumps),
        Format("junit", "junit.xml", "one test case per objective", junit),
        Format(
            name="flamegraph",
            file_name="flamegraph.svg",
            help="the knee's profile as a searchable SVG",
            text=_flamegraph,
            needs_profile=True,
        ),
        Format(
            name="folded",
            file_name="profile.folded",
            help="the knee's stacks, one a line with its count",
            text=_folded,
            needs_profile=True,
        ),
        Format(
            name="speedscope",
            file_name="profile.speedscope.json",
            help="all profiles for speedscope",
            text=_speedscope,
            needs_profile=True,
        ),
        Format("knee", "knee.svg", "where it breaks, as a picture", knee_svg),
        Format("waterfall", "waterfall.svg", "where the latency went, as a picture", waterfall_svg),
        Format("comment", "comment.md", "the one comment on a pull request", run_comment),
        Format("openmetrics", "metrics.txt", "for Prometheus and GitLab's metrics", openmetrics),
        Format("bencher", "bencher.json", "Bencher Metric Format", bencher),
        Format(
            name="benchmark-bigger",
            file_name="benchmark-bigger.json",
            help="rates for github-action-benchmark, customBiggerIsBetter",
            text=bigger_is_better,
        ),
        Format(
            name="benchmark-smaller",
            file_name="benchmark-smaller.json",
            help="times and shares for it, customSmallerIsBetter",
            text=smaller_is_better,
        ),
        Format(
            name="load-performance",
            file_name="load-performance.json",
            help="GitLab's load performance report, shaped as a k6 summary",
            text=load_performance,
        ),
        Format("otlp", "otlp-metrics.json", "OTLP metrics in JSON", otlp),
    )
}
# What only CI has a use for: `--artifacts` writes it, and no run keeps it.
FOR_CI = (
    "knee",
    "waterfall",
    "comment",
    "openmetrics",
    "bencher",
    "benchmark-bigger",
    "benchmark-smaller",
    "load-performance",
    "otlp",
)
