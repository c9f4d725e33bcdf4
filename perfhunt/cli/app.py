"""The verbs in one table, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType

import typer

from perfhunt.cli import console, outlet
from perfhunt.cli.footing import require_footing
from perfhunt.cli.options import STORE
from perfhunt.cli.verbs.table import VERBS
from perfhunt.errors import EXIT_MEANINGS, PerfhuntError, Stopped
from perfhunt.version import __version__

_COMPLETING = "_PERFHUNT_COMPLETE"  # set by a shell that asks the parser for words
app = typer.Typer(
    name="perfhunt",
    rich_markup_mode=None,  # importing rich would cost more than everything else in --help
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Find the load at which a running service breaks its SLO, profile it there,"
        " and judge the one change you make.\n\n"
        "Start here:  perfhunt doctor --pid PID;  perfhunt init --pid PID;"
        "  perfhunt investigate --pid PID"
    ),
    epilog=(
        "Exit codes: "
        + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_MEANINGS.items())
        + ". --exit-zero-on 90,91 makes 0 of verdicts."
    ),
)


# Distributions that numbers and profiles depend on. Programs of others (perf, k6) are for `doctor`,
# which starts them.
TOOLS = ("locust", "gevent", "geventhttpclient", "py-spy", "numpy", "scipy")


def _version(requested: bool) -> None:
    if requested:
        console.out(f"perfhunt {__version__}")
        console.out(", ".join(f"{name} {version}" for name, version in tool_versions()))
        raise typer.Exit


def tool_versions() -> Iterator[tuple[str, str]]:
    """The interpreter and each of TOOLS with its version, read from what pip wrote: none is started
    or imported.
    """
    from importlib.metadata import PackageNotFoundError, version

    yield "Python", ".".join(map(str, sys.version_info[:3]))
    for name in TOOLS:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


@app.callback()
def root(
    version: bool = typer.Option(
        False,
        "--version",
        "-V",
        callback=_version,
        is_eager=True,
        help="Print the version, and those of the tools it rests on, and exit.",
    ),
) -> None:
    """Options before any verb."""


def _say_what_comes_next() -> None:
    """What `perfhunt` alone says. Not by way of the parser, which would import more than all of
    this to call it.
    """
    from perfhunt.cli.view.next_commands import next_lines
    from perfhunt.jobs.stored.standing import standing

    require_footing()
    store = Path(os.environ.get("PERFHUNT_STORE") or STORE)
    for line in next_lines(standing(Path.cwd(), store), store):
        console.out(line)


def _interruptible(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, stopped by Ctrl-C as by any other signal; the parser's own answer to that would be
    exit code 1, and Python's to the others to end at once, with nothing put away.
    """

    @wraps(verb)
    def stopped(*args: object, **options: object) -> None:
        try:
            with _signals_interrupt():
                require_footing()
                verb(*args, **options)
        except KeyboardInterrupt as interrupt:
            raise Stopped(
                f"interrupted by {' '.join(interrupt.args) or 'Ctrl-C'}",
                "Runs that were kept until then, if any: perfhunt history",
            ) from interrupt

    return stopped


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP taken as Ctrl-C is, where they would end us at once."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    ours = threading.current_thread() is threading.main_thread()
    ending = (signal.SIGTERM, signal.SIGHUP) if ours else ()
    taken = [number for number in ending if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


for _name, _verb in VERBS.items():
    app.command(_name, **_verb.settings)(_interruptible(_verb.function))


def split_command(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The command line up to the first `--`, and the command behind it, for verbs that take one.

    Left to the parser, the first word of that command would become the verb's RUN argument.
    """
    verb = next((word for word in words if not word.startswith("-")), "")
    if "--" not in words or verb not in VERBS or not VERBS[verb].example:
        return list(words), ()
    at = words.index("--")
    return list(words[:at]), tuple(words[at + 1 :])


def run() -> None:
    """Run the command line; every PerfhuntError becomes its message, its hint and its exit code."""
    before, command = split_command(sys.argv[1:])
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us (`>&-`): nobody reads
            stream = open(os.devnull, "w")  # noqa: SIM115
        setattr(sys, name, outlet.through_outlet(stream))
    console.speak_always()
    try:
        # A shell that completes a line asks without arguments.
        if sys.argv[1:] or _COMPLETING in os.environ:
            app(args=before, obj=command)
        else:
            _say_what_comes_next()
    except PerfhuntError as error:
        console.complain(error)
        sys.exit(int(error.exit_code))
    except OSError as raised:
        from perfhunt.model.text.error_words import refused_by_the_system

        refused = refused_by_the_system(raised)
        console.complain(refused)
        sys.exit(int(refused.exit_code))
    finally:
        sys.stdout.flush()
        if why := outlet.lost():
            console.note(f"perfhunt: not all of the output was written: {why}")
