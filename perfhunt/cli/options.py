"""Every option that is long to spell or that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STORE = Path(".perfhunt")

# What to look at.
PidOption = Annotated[
    int | None,
    typer.Option("--pid", help="The service's process; its port and workers are found from it."),
]
PortOption = Annotated[
    int | None, typer.Option("--port", help="The port the service listens on, instead of its pid.")
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="Where to send load (http://HOST:PORT, unix:/PATH), instead of what was found.",
    ),
]
TestFileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="The test file [default: perfhunt.toml, or [tool.perfhunt] of pyproject.toml].",
    ),
]
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="PERFHUNT_STORE", help="Where runs are kept.")
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]", help="A run's id, the beginning of one, a directory, or `last`."
    ),
]

# Which of the values of a profile.
ValueOption = Annotated[
    str,
    typer.Option(
        "--value", help="Which value of a file that has several [default: said when it is read]."
    ),
]

# How it is told.
JsonOption = Annotated[bool, typer.Option("--json", help="Events as NDJSON on stdout; no view.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only the verdict, in one line.")]
WideOption = Annotated[
    bool, typer.Option("--wide", help="All there is to say, however small the terminal.")
]
OneObjectOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]
OneArrayOption = Annotated[bool, typer.Option("--json", help="One JSON array.")]


def _verdict_codes(codes: str) -> str:
    """The codes as they are. Raises UsageError, before anything is done, for what is none."""
    from perfhunt.cli.advisory import advisory_codes

    advisory_codes(codes)
    return codes


ExitZeroOption = Annotated[
    str,
    typer.Option(
        "--exit-zero-on",
        metavar="CODES",
        callback=_verdict_codes,
        help="Verdicts that are told and fail nothing: 90,91 (and 99) exit with 0.",
    ),
]

AgainstOption = Annotated[
    Path | None,
    typer.Option(
        "--against", help="The baseline to compare with: what `perfhunt pack` wrote of a run."
    ),
]

# What was edited.
BaseOption = Annotated[
    str,
    typer.Option(
        "--base",
        help="The revision to compare with [default: what the last run measured, else HEAD].",
    ),
]
HeadOption = Annotated[str, typer.Option("--head", help="A revision, instead of the working tree.")]
CompoundOption = Annotated[
    str, typer.Option("--compound", help="Measure several changes at once, for this reason.")
]
PrepareOption = Annotated[
    str, typer.Option("--prepare", help="A command that makes a fresh checkout ready to start.")
]
RevertOption = Annotated[
    bool, typer.Option("--revert", help="On REVERT, take the edit out of the working tree.")
]
TrustOption = Annotated[
    bool,
    typer.Option("--trust-repository", help="Read a git repository that belongs to another user."),
]

# How load is sent and the target watched.
SearchBudgetOption = Annotated[
    str | None, typer.Option("--budget", help="Load to spend on the search, e.g. 5m.")
]
RoundsBudgetOption = Annotated[
    str, typer.Option("--budget", help="Time for the rounds of a paired comparison.")
]
QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="About a minute of load: a bracket instead of an interval."),
]
QuickAgainOption = Annotated[
    bool,
    typer.Option("--quick", help="With --pid: a bracket of the knee, in about a minute of load."),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=1024, help="Load processes on this machine.")
]
BindOption = Annotated[
    str,
    typer.Option(
        "--bind", help="[HOST:]PORT to wait at for that many `perfhunt worker`s; HOST: loopback."
    ),
]
SecretOption = Annotated[
    Path | None,
    typer.Option(
        "--secret",
        help="File with what master and workers both know; else $PERFHUNT_WORKERS_SECRET, else"
        " ~/.config/perfhunt/workers.secret, which --bind makes.",
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of arrivals, mix and feed rows."),
]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="auto; required: fail if nothing attaches; off.")
]
AttributionOption = Annotated[
    str, typer.Option("--profile", help="auto; off: no attribution to functions.")
]
ExecPrefixOption = Annotated[
    str,
    typer.Option(
        "--exec-prefix",
        metavar="COMMAND",
        help="Look at it where it lives, by way of `ssh HOST`, `kubectl exec -i POD --`, ...",
    ),
]
OpenTargetOption = Annotated[
    bool, typer.Option("--open-target", help="Allow profilers that open a door into it.")
]
WarmUpOption = Annotated[
    bool, typer.Option("--warm-up", help="First wait until the service's median stands still.")
]
SoakOption = Annotated[
    str | None,
    typer.Option("--soak", help="Then hold a share of the knee so long, to see what grows: 30m."),
]
InsideOption = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="TOOL",
        help="With -- COMMAND: afterwards start it again under scalene, pyinstrument or tracemalloc"
        " (auto: what fits the finding), for lines, calls and memory.",
    ),
]
ResumeOption = Annotated[
    str | None,
    typer.Option("--resume", help="Go on with an interrupted run of the same question."),
]
AllowBusyOption = Annotated[
    bool, typer.Option("--allow-busy", help="Go on although somebody else loads the target.")
]
WatchOption = Annotated[
    float,
    typer.Option(
        "--watch",
        min=0.0,
        metavar="SECONDS",
        help="How long to watch what else this host does; 0: not at all.",
    ),
]
ArtifactsOption = Annotated[
    Path | None,
    typer.Option(
        "--artifacts",
        help="Put reports, pictures and what CI reads here too: --artifacts artifacts",
        envvar="PERFHUNT_ARTIFACTS",
    ),
]

# How a command is timed.
TimedBaseOption = Annotated[
    str,
    typer.Option(
        "--base", help="The revision to compare with; without it the command is only timed."
    ),
]
CompareOption = Annotated[
    Path | None,
    typer.Option("--compare", help="Compare with a JSON export (hyperfine's or ours)."),
]
RunsOption = Annotated[int, typer.Option("--runs", "-r", min=1, help="Runs of each version.")]
WarmupRunsOption = Annotated[
    int, typer.Option("--warmup", "-w", min=0, help="Runs of each version that do not count.")
]
MisplacedArgument = Annotated[list[str] | None, typer.Argument(hidden=True, metavar="-- COMMAND")]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-P",
        metavar="NAME=VALUES",
        help="Run with each value in place of {NAME}: threads=1,2,4 or size=0..1:0.25; several"
        " give every combination.",
    ),
]
RunPrepareOption = Annotated[
    str,
    typer.Option(
        "--prepare",
        help="A command before each run, not timed; with --base once, in each fresh checkout.",
    ),
]
CleanupOption = Annotated[
    str, typer.Option("--cleanup", help="A command after each run, not timed.")
]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output", help="Where what it prints goes: pipe (read, and dropped), null, or a file."
    ),
]
IgnoreFailureOption = Annotated[
    bool, typer.Option("--ignore-failure", help="A run counts whatever its exit code is.")
]
ExportOption = Annotated[
    Path | None, typer.Option("--export-json", help="Write every time here, as hyperfine does.")
]
TimerOption = Annotated[
    str, typer.Option("--engine", help="What keeps time: perfhunt, or hyperfine.")
]
TimeoutOption = Annotated[
    str, typer.Option("--timeout", help="End a run that takes longer, e.g. 30s.")
]

EngineOption = Annotated[
    str | None,
    typer.Option("--engine", help="What makes the load: locust, k6 or vegeta (docs/traffic.md)."),
]

# Two runs.
BaselineArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]",
        help="The baseline: a run's id, the beginning of one, a directory [default: the newest"
        " investigation that was asked the same].",
    ),
]
BeforeArgument = Annotated[
    str,
    typer.Argument(
        metavar="A", help="The run before: its id, the beginning of one, or a directory."
    ),
]
AfterArgument = Annotated[str, typer.Argument(metavar="B", help="The run after.")]
ComparedPageOption = Annotated[
    Path | None,
    typer.Option("--html", help="Write the report of B beside A (one HTML file) here."),
]
VerdictPageOption = Annotated[
    Path | None,
    typer.Option("--html", help="Write the page of the verdict (one HTML file) here."),
]
DifferenceOption = Annotated[
    Path | None,
    typer.Option("--flamegraph", help="Write a differential flame graph (SVG) here."),
]
