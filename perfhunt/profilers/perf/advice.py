"""Profilers that know a runtime perf does not, which the user has to run: what they see, and how
what they write is read here.
"""

from __future__ import annotations

from collections.abc import Mapping

# By runtime. What they write is one of the formats of `perfhunt convert`: speedscope, or folded.
_OTHERS: Mapping[str, str] = {
    "ruby": (
        "Ruby's own functions are seen by rbspy: sudo rbspy record --pid {pid} --duration 10"
        " --format speedscope --file ruby.json, then perfhunt flamegraph ruby.json"
    ),
    "php": (
        "PHP's own functions are seen by phpspy: sudo phpspy -p {pid} -i 10000"
        " | stackcollapse-phpspy.pl > php.folded, then perfhunt flamegraph php.folded"
    ),
    "dotnet": (
        ".NET's own functions are seen by dotnet-trace: dotnet-trace collect -p {pid}"
        " --duration 00:00:10 --format Speedscope -o net.nettrace, then"
        " perfhunt flamegraph net.speedscope.json"
    ),
}


def other_profiler(runtime: str, pid: int) -> str:
    """What to run for the functions of a process, where nothing here sees them; "" elsewhere."""
    return _OTHERS.get(runtime, "").format(pid=pid)
