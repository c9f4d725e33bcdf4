"""A Node inspector session against a server that is not Node, and says what it likes."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from perfhunt.profilers.node.inspector import Inspector, InspectorError, session_url
from perfhunt.profilers.node.workers import WorkerThreads

Says = Callable[[dict[str, Any]], list[Any]]


@contextmanager
def inspected(says: Says) -> Iterator[Inspector]:
    """A session with a server that answers each command with some messages."""

    def speak(link: ServerConnection) -> None:
        for command in link:
            for message in says(json.loads(command)):
                link.send(message if isinstance(message, str) else json.dumps(message))

    with serve(speak, "127.0.0.1", 0, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        inspector = Inspector(f"ws://127.0.0.1:{port}/session")
        try:
            yield inspector
        finally:
            inspector.close()
            inspector.close()


def test_the_answer_to_a_command_is_told_from_events_and_from_late_answers() -> None:
    def says(command: dict[str, Any]) -> list[Any]:
        number = command["id"]
        event = {"method": "Debugger.scriptParsed", "params": {}}
        late = [{"id": number - 1, "result": {"x": "late"}}] if number > 1 else []
        return [event, *late, {"id": number, "result": {"x": command["params"]["x"]}}]

    with inspected(says) as inspector:
        assert inspector.call("Profiler.start", x=1) == {"x": 1}
        assert inspector.call("Profiler.start", x=2) == {"x": 2}


def test_worker_threads_are_sampled_from_when_they_come_until_they_end_or_are_stopped() -> None:
    said: dict[str, list[str]] = {}

    def event(name: str, session: str, **told: Any) -> dict[str, Any]:
        return {"method": f"NodeWorker.{name}", "params": {"sessionId": session, **told}}

    def says(command: dict[str, Any]) -> list[Any]:
        answer: list[Any] = [{"id": command["id"], "result": {}}]
        if command["method"] == "NodeWorker.enable":
            return [event("attachedToWorker", "1"), event("attachedToWorker", "2"), *answer]
        if command["method"] == "NodeWorker.sendMessageToWorker":
            session = command["params"]["sessionId"]
            told = json.loads(command["params"]["message"])
            said.setdefault(session, []).append(told["method"])
            if told["method"] == "Profiler.stop" and session == "1":
                profile = json.dumps({"id": told["id"], "result": {"profile": {"of": session}}})
                return [*answer, event("receivedMessageFromWorker", session, message=profile)]
            if told["method"] == "Profiler.stop":
                return [*answer, event("detachedFromWorker", session)]
        return answer

    with inspected(says) as inspector:
        threads = WorkerThreads(inspector, 1000)
        assert threads.taken(within=10.0) == [{"of": "1"}]
    begun = ["Profiler.enable", "Profiler.setSamplingInterval", "Profiler.start", "Profiler.stop"]
    assert said == {"1": begun, "2": begun}
    assert threads.unseen == 1


def test_a_profile_of_many_megabytes_is_one_message() -> None:
    with inspected(lambda command: [{"id": command["id"], "result": {"x": "s" * 20_000_000}}]) as s:
        assert len(s.call("Profiler.stop")["x"]) == 20_000_000


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"id": 7, "result": {}}, "7, which was not sent"),
        ({"id": "1", "result": {}}, "'1', which was not sent"),
        ({"result": {}}, "None, which was not sent"),
        ([1], "not an object"),
        ("{", "Expecting"),
        ({"id": 1, "error": {"message": "Profiler is not enabled"}}, "Profiler is not enabled"),
    ],
)
def test_a_message_that_is_none_of_the_protocol_is_an_error(message: Any, complaint: str) -> None:
    with (
        inspected(lambda _: [message]) as inspector,
        pytest.raises(InspectorError, match=f"^Profiler.stop: .*{complaint}"),
    ):
        inspector.call("Profiler.stop")


def test_silence_is_an_error_after_the_time_given() -> None:
    with (
        inspected(lambda _: []) as inspector,
        pytest.raises(InspectorError, match="no answer within"),
    ):
        inspector.call("Profiler.stop", timeout=0.05)


def test_an_expression_that_throws_is_an_error_with_its_own_words() -> None:
    thrown = {"exceptionDetails": {"text": "Uncaught"}, "result": {"type": "object"}}
    with (
        inspected(lambda command: [{"id": command["id"], "result": thrown}]) as inspector,
        pytest.raises(InspectorError, match="Uncaught"),
    ):
        inspector.evaluate("process.nothing()")


def test_a_port_nobody_listens_on_is_no_inspector() -> None:
    with pytest.raises(InspectorError, match="does not answer as a Node inspector"):
        session_url(port=1)
    with pytest.raises(InspectorError, match="refused a session"):
        Inspector("ws://127.0.0.1:1/session")
