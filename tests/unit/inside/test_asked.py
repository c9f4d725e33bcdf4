"""What may be asked of a launched service, and where it may listen."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from perfhunt.analysis.diagnosis.diagnosis import Diagnosis
from perfhunt.api import investigate
from perfhunt.cli.app import split_command
from perfhunt.errors import AttachFailed, UsageError
from perfhunt.jobs.launched.looks import advice_of_launched, chosen, require_tools, tools_asked
from perfhunt.jobs.launched.service import place_of
from perfhunt.jobs.request import require_one_target
from perfhunt.model.finding import Bottleneck, BottleneckClass, Caution, CautionCode
from perfhunt.model.text.socket_url import socket_url


@pytest.mark.parametrize("verb", ["investigate", "profile"])
def test_the_command_is_what_stands_behind_the_dashes(verb: str) -> None:
    words, command = split_command([verb, "--quick", "--", "serve", "--pid", "1"])
    assert (words, command) == ([verb, "--quick"], ("serve", "--pid", "1"))


@pytest.mark.parametrize(("pid", "port", "option"), [(1, None, "--pid"), (None, 80, "--port")])
def test_a_command_beside_a_service_that_runs_is_refused(
    pid: int | None, port: int | None, option: str
) -> None:
    with pytest.raises(UsageError, match=f"{option} is of a service that runs already") as refused:
        require_one_target(("serve",), pid, port)
    assert refused.value.hint


def test_a_tool_needs_a_command() -> None:
    with pytest.raises(UsageError, match="--with scalene needs a service") as refused:
        require_one_target((), 1, None, ("scalene",))
    assert "-- COMMAND" in refused.value.hint


def test_the_api_takes_a_command_as_words_and_refuses_a_text() -> None:
    with pytest.raises(UsageError, match="command is a text"):
        investigate(command="gunicorn app:app")
    with pytest.raises(UsageError, match="--pid is of a service that runs already"):
        investigate(command=["gunicorn", "app:app"], pid=1)


def test_each_tool_is_taken_once_and_an_unknown_one_refused() -> None:
    assert tools_asked(["scalene", "auto", "scalene"]) == ("scalene", "auto")
    with pytest.raises(UsageError, match="--with memray is none of scalene, pyinstrument"):
        tools_asked(["memray"])


def test_a_tool_that_has_nothing_to_work_with_is_told_before_anything_is_sent() -> None:
    with pytest.raises(AttachFailed, match="sh starts no script or module of Python") as refused:
        require_tools(("sh", "-c", "serve"), ("auto", "tracemalloc", "scalene"))
    assert "python -m MODULE" in refused.value.hint
    require_tools(("sh", "-c", "serve"), ("auto", "tracemalloc"))


def diagnosis(kind: BottleneckClass | None, *codes: CautionCode) -> Diagnosis:
    bottleneck = Bottleneck(kind, 0.9, ()) if kind is not None else None
    return Diagnosis((), bottleneck, tuple(Caution(code, "") for code in codes), "")


@pytest.mark.parametrize(
    ("advised", "launched"),
    [
        (
            "Call it less; restart the service, then: perfhunt verify --pid NEW_PID",
            "Call it less; then: perfhunt verify -- serve",
        ),
        (
            "Mend that, restart the service, then: perfhunt investigate --pid NEW_PID --soak 30m",
            "Mend that, then: perfhunt investigate --soak 30m -- serve",
        ),
        (
            "perfhunt investigate --pid PID --open-target lets the inspector show it",
            "perfhunt investigate --open-target -- serve lets the inspector show it",
        ),
        ("Find them in the log", "Find them in the log"),
    ],
)
def test_no_advice_names_the_pid_of_a_service_that_ended_with_its_run(
    advised: str, launched: str
) -> None:
    assert advice_of_launched(advised, "serve") == launched


@pytest.mark.parametrize(
    ("kind", "codes", "tools"),
    [
        (BottleneckClass.CPU, (), ["scalene"]),
        (BottleneckClass.GIL, (CautionCode.GROWTH,), ["scalene", "tracemalloc"]),
        (BottleneckClass.EVENT_LOOP, (), ["scalene", "pyinstrument"]),
        (BottleneckClass.DATABASE, (), ["pyinstrument"]),
        (None, (), []),
    ],
)
def test_auto_takes_what_tells_more_of_what_was_found(
    kind: BottleneckClass | None, codes: tuple[CautionCode, ...], tools: list[str]
) -> None:
    assert [*chosen(diagnosis(kind, *codes), "cpython")] == tools
    assert chosen(diagnosis(kind, *codes), "go") == {}


def test_a_command_listens_where_the_url_says_or_on_a_free_port_that_it_names() -> None:
    assert place_of(("serve",), "").url == ""
    place = place_of(("serve", "-b", "127.0.0.1:{port}"), "")
    assert place.url == f"http://127.0.0.1:{place.port}"
    assert place_of(("serve",), "http://localhost:65123").port == 65123


def test_a_command_is_not_aimed_at_another_host() -> None:
    with pytest.raises(UsageError, match="load goes to 10\\.0\\.0\\.1"):
        place_of(("serve",), "http://10.0.0.1:80")


def test_a_unix_socket_that_somebody_answers_at_is_taken(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    url = socket_url(path)
    assert place_of(("serve",), url).url == url
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(UsageError, match="is taken already, by pid"):
            place_of(("serve",), url)
