"""The load child and its controller name what they cannot read, and nothing else gets between
them.
"""

from pathlib import Path

import pytest

from perfhunt.load.messages import Heartbeat, LoadError, StopLoad, frame
from perfhunt.load.pipe import ChildDied, ChildPipe
from perfhunt.model.units import Seconds
from tests.live.load_targets.harness import announced, engine, python, step

pytestmark = [pytest.mark.live, pytest.mark.beside]

STARTS_WITHIN: Seconds = 30.0  # it imports Locust


def answer_to(content: bytes, directory: Path) -> LoadError:
    """What a fresh child says to these bytes; it ends by itself after that."""
    pipe = ChildPipe(directory)
    try:
        assert pipe.process.stdin is not None
        pipe.process.stdin.write(content)
        pipe.process.stdin.flush()
        answer = pipe.receive(STARTS_WITHIN)
        with pytest.raises(ChildDied, match="ended with code 1"):
            pipe.receive(STARTS_WITHIN)
    finally:
        pipe.close()
    assert isinstance(answer, LoadError)
    return answer


def test_an_order_the_child_does_not_know_is_named(tmp_path: Path) -> None:
    # A message of the workers, which no controller sends.
    answer = answer_to(frame(Heartbeat()), tmp_path)
    assert "'Heartbeat'" in answer.why
    assert "version" in answer.hint


def test_bytes_that_are_no_order_are_shown(tmp_path: Path) -> None:
    assert "hello" in answer_to(b"hello, child\n", tmp_path).why


def test_an_order_before_the_load_was_opened_is_refused(tmp_path: Path) -> None:
    assert "before the load was opened" in answer_to(frame(StopLoad(hard=True)), tmp_path).why


@pytest.mark.parametrize("kept", [True, False])
def test_a_locustfile_may_print_and_it_is_kept_when_that_is_asked_for(
    tmp_path: Path, kept: bool
) -> None:
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(
        "from locust import FastHttpUser, task\n"
        "print('on import', flush=True)\n"
        "class U(FastHttpUser):\n"
        "    @task\n"
        "    def t(self):\n"
        "        self.client.get('/')\n"
        "        print('in a task', flush=True)\n"
    )
    with (
        announced(*python("timed.py", "constant", "0")) as url,
        engine(url, tmp_path, locustfile=str(locustfile), keep_error_text=kept) as made,
    ):
        trial = made.run(step(20, 1.0, arrivals="uniform"))
    assert trial.outcomes == {"ok": trial.n}
    printed = (tmp_path / "load-child.log").read_text()
    assert printed.count("in a task") == (trial.n if kept else 0)
    assert ("on import" in printed) is kept
