"""What was seen from inside a service, in words: of the function of a finding, of memory that is
kept, and what each tool cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from perfhunt.analysis.blame.frames import FunctionKey, hides_application
from perfhunt.model.finding import Finding
from perfhunt.model.inside.look import InsideLook, InsideTool, LineUse
from perfhunt.model.run import Run
from perfhunt.model.units import Share, format_bytes, format_duration, format_rate, format_share
from perfhunt.reports.words import change_words, file_words, ratio_words

LINES = 3  # of a function that are told: those that use most
LEAKS = 5
CALLS = 4  # parts of a request that are told
_NOTABLE: Share = 0.01  # of the time seen; less of a line is not told
_ALLOCATES = 1 << 20  # bytes per second worth telling
_REQUESTS = 1000.0  # that growth is told for
_HIDDEN = (
    "the application's code was inlined into it: debug information says which function that is"
    " (Rust: debug = 1 below [profile.release] in Cargo.toml), and costs no speed"
)


def beside(run: Run, finding: Finding) -> tuple[str, ...]:
    """What tools saw of a finding's functions, a sentence each, and what would tell more of it;
    empty where none looked.
    """
    told = [_HIDDEN] if hides_application(finding.function) else []
    for look in run.inside:
        lines = [line for line in look.lines if _is_of(line, finding.members)]
        told += list(_TELL[look.tool](look, lines[:LINES]))
    return tuple(told)


def _is_of(line: LineUse, members: Iterable[FunctionKey]) -> bool:
    """Whether a line is of one of these functions. Some tools name what a function is defined in,
    `Shop.price`, and some do not.
    """
    mine = _dotted(line.function)
    return any(
        line.file == file and (mine.endswith(_dotted(name)) or _dotted(name).endswith(mine))
        for name, file in members
    )


def _dotted(name: str) -> str:
    return "." + name.replace("<locals>.", "")


def _of_lines(_: InsideLook, lines: list[LineUse]) -> Iterator[str]:
    for line in lines:
        parts = [
            f"{format_share(share)} {kind}"
            for share, kind in (
                (line.python, "Python"),
                (line.native, "native"),
                (line.system, "system or waiting"),
            )
            if share is not None and share >= _NOTABLE
        ]
        memory = [
            f"{format_bytes(each)}/s {what}"
            for each, what in ((line.allocated, "allocated"), (line.copied, "copied"))
            if each is not None and each >= _ALLOCATES
        ]
        if parts or memory:
            split = "; ".join(filter(None, (", ".join(parts), ", ".join(memory))))
            yield f"line {line.line}: {split} (scalene)"


def _of_requests(look: InsideLook, lines: list[LineUse]) -> Iterator[str]:
    running = sum(line.running or 0.0 for line in lines)
    awaiting = sum(line.awaiting or 0.0 for line in lines)
    if not running and not awaiting:
        return
    waited = f", and awaits {format_duration(awaiting)}" if awaiting else ""
    yield f"in a request it takes {format_duration(running)}{waited} (pyinstrument)"


def _of_memory(look: InsideLook, lines: list[LineUse]) -> Iterator[str]:
    for line in lines:
        yield f"line {line.line}: {kept_words(look, line)} (tracemalloc)"


_TELL = {
    InsideTool.SCALENE: _of_lines,
    InsideTool.PYINSTRUMENT: _of_requests,
    InsideTool.TRACEMALLOC: _of_memory,
}


def kept_words(look: InsideLook, line: LineUse) -> str:
    """`keeps 48 KiB a request, as much in each of 3 windows: leak likely here`."""
    total = sum(line.held)
    requests = look.rate * look.seconds
    each = f"keeps {format_bytes(total / requests)} a request" if requests else "keeps memory"
    grown = " + ".join(format_bytes(held) for held in line.held)
    judged = "leak likely here" if line.leak else "not evenly, so it may be a cache that fills"
    return f"{each} ({grown} in equal windows): {judged}"


def leaks(run: Run, besides: Collection[FunctionKey] = ()) -> tuple[str, ...]:
    """The lines that keep memory window after window, those that keep most first; without those of
    functions `besides`.
    """
    return tuple(
        f"{line.function or 'code'} at {file_words(line.file)}:{line.line} {kept_words(look, line)}"
        for look in run.inside
        for line in [each for each in look.lines if each.leak][:LEAKS]
        if not _is_of(line, besides)
    )


def lines_alone(run: Run) -> tuple[str, ...]:
    """The lines that use most, of each look at lines of which none stands beside a finding."""
    members = {member for finding in run.findings for member in finding.members}
    return tuple(
        f"{line.function or 'code'} at {file_words(line.file)}, {told}"
        for look in run.inside
        if look.tool is InsideTool.SCALENE
        and not any(_is_of(line, members) for line in look.lines[:LINES])
        for line in look.lines[:LINES]
        for told in _of_lines(look, [line])
    )


def requests(run: Run) -> tuple[str, ...]:
    """Where the time of a request goes, of each look that followed requests."""
    told = []
    for look in run.inside:
        request = look.request
        if request is None:
            continue
        parts = []
        for line in look.lines[:CALLS]:
            running, awaiting = line.running or 0.0, line.awaiting or 0.0
            if running >= _NOTABLE * request.seconds:
                parts.append(f"{format_duration(running)} in {line.function}")
            if awaiting >= _NOTABLE * request.seconds:
                parts.append(f"{format_duration(awaiting)} awaited by {line.function}")
        told.append(
            f"a request ({request.function}, n={request.n:,}) takes"
            f" {format_duration(request.seconds)}: {', '.join(parts) or 'none of it in your code'}"
        )
    return tuple(told)


def costs(run: Run, *, brief: bool = False) -> tuple[str, ...]:
    """Each look: at which rate, and what its tool cost; or why it gives nothing. `brief`: without
    what there is to doubt about the cost.
    """
    return tuple(_cost(look, brief) for look in run.inside)


def _cost(look: InsideLook, brief: bool) -> str:
    if not look.seconds:
        return f"{look.tool}: not seen: {look.missing}"
    effect = look.effect
    cost = "cost not measured"
    if effect is not None and effect.throughput is not None:
        named = {"throughput": "throughput", "p99": "p99", "cpu": "CPU per request"}
        cost = ", ".join(
            f"{words} {ratio_words(getattr(effect, name)) if brief else change_words(effect, name)}"
            for name, words in named.items()
        )
    doubt = f" ({effect.note})" if effect is not None and effect.note and not brief else ""
    said = f"under {look.tool}, {format_duration(look.seconds)} at {format_rate(look.rate)}:"
    return "; ".join(filter(None, (f"{said} {cost}{doubt}", look.missing, *look.notes)))


def inside_lines(run: Run) -> tuple[str, ...]:
    """All that is told of looks from inside beside the findings, most telling first."""
    return (*leaks(run), *lines_alone(run), *requests(run), *costs(run))


def brief_lines(run: Run) -> tuple[str, ...]:
    """The same where there is little room: nothing that stands beside a finding already."""
    members = {member for finding in run.findings for member in finding.members}
    told = leaks(run, besides=members)
    return (*told, *lines_alone(run), *requests(run), *costs(run, brief=True))
