"""What tools saw from inside, as each report shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.model.inside.look import InsideLook, InsideTool
from perfhunt.model.run import Run
from perfhunt.reports.html.html import html
from perfhunt.reports.inside import beside, inside_lines, leaks
from perfhunt.reports.markdown import markdown
from perfhunt.reports.terminal import Screen, terminal
from tests.sample_run import launched_run, sample_run

RUN = launched_run()


def plain(text: str) -> str:
    return " ".join(text.replace("\\", "").split())


def wide(run: Run) -> str:
    return terminal(run, Screen(lines=None))


def test_lines_memory_and_calls_stand_beside_the_finding_of_the_same_function() -> None:
    first = next(finding for finding in RUN.findings if finding.function == "load_rules")
    cpu, calls, memory = beside(RUN, first)
    assert cpu == (
        "line 72: 61 % Python, 12 % native, 4 % system or waiting; 3.2 MiB/s allocated (scalene)"
    )
    assert calls == "in a request it takes 4.1 ms (pyinstrument)"
    assert "line 74: keeps 12.8 KiB a request" in memory
    assert "leak likely here" in memory


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        ("Rules.load_rules", True),
        ("setup.<locals>.load_rules", True),
        ("preload_rules", False),
        ("load_rules.inner", False),
    ],
)
def test_a_function_is_the_same_with_and_without_what_it_is_defined_in(
    name: str, is_told: bool
) -> None:
    first = next(finding for finding in RUN.findings if finding.function == "load_rules")
    assert bool(beside(RUN, replace(first, function=name, leaves=()))) == is_told


@pytest.mark.parametrize("report", [wide, markdown, html])
def test_every_report_has_them_and_what_the_tools_cost(report: object) -> None:
    assert callable(report)
    text = plain(report(RUN))
    assert "61 % Python, 12 % native" in text
    assert "leak likely here" in text
    assert "p99 +71.0 %" in text
    assert "6.8 ms" in text


def test_a_small_screen_keeps_the_knee_and_its_doubts() -> None:
    text = terminal(RUN)
    assert len(text.splitlines()) <= 48
    assert "61 % Python" in plain(text)
    assert "profiling changed throughput" in text


def test_lines_are_told_where_no_finding_names_their_function() -> None:
    told = "load_rules at shop/pricing.py, line 72: 61 % Python"
    assert not any(line.startswith(told) for line in inside_lines(RUN))
    assert any(line.startswith(told) for line in inside_lines(replace(RUN, findings=())))


def test_a_run_that_nobody_looked_into_says_nothing_of_it() -> None:
    run = sample_run()
    assert inside_lines(run) == ()
    assert "inside" not in wide(run).lower()


def test_only_what_grew_in_every_window_is_called_a_leak() -> None:
    (leak,) = leaks(RUN)
    assert leak.startswith("load_rules at shop/pricing.py:74 ")


def test_a_look_that_was_not_had_says_why() -> None:
    missing = InsideLook(InsideTool.SCALENE, 10.0, 0.0, missing="python3 has no scalene.")
    run = replace(RUN, inside=(missing,))
    assert inside_lines(run) == ("scalene: not seen: python3 has no scalene.",)


def test_what_would_name_a_function_that_was_inlined_into_a_librarys_is_said_beside_it() -> None:
    first = replace(RUN.findings[0], leaves=())
    for name in ("<F as axum::Handler>::call", "tokio::poll (src/main.rs:30 inlined)"):
        (said,) = beside(RUN, replace(first, function=name))
        assert "debug = 1" in said
    assert not beside(RUN, replace(first, function="<shop::order as axum::Handler>::call"))
