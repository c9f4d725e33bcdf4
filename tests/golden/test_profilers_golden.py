"""Files as the tools wrote them, against counts made by the tools themselves or by hand with grep
and awk.
"""

from collections import Counter
from pathlib import Path

from perfhunt.model.profile import Stack
from perfhunt.model.profiles.readers.folded import read_folded
from perfhunt.model.profiles.readers.jfr import parse_jfr_print, sampled_threads
from perfhunt.model.profiles.readers.perf_script import parse_perf_script
from perfhunt.model.profiles.readers.pprof import parse_pprof
from perfhunt.profilers.py_spy.dump import read_dump
from perfhunt.profilers.py_spy.torn import intact

HERE = Path(__file__).parent / "profilers"


def stacks_of(text: str) -> dict[Stack, float]:
    """The stacks in a text that holds nothing else."""
    folded = read_folded(text)
    assert folded.bad == ()
    return dict(folded.stacks)


def leaves(stacks: dict[Stack, float]) -> Counter[str]:
    found: Counter[str] = Counter()
    for stack, n in stacks.items():
        found[stack[-1].function] += round(n)
    return found


def test_py_spy_with_threads() -> None:
    stacks = stacks_of((HERE / "py-spy-threads.folded").read_text())
    assert sum(stacks.values()) == 192  # py-spy: "Samples: 192 Errors: 0"
    assert leaves(stacks)["digest"] == 103  # awk, over lines that end in digest
    assert {stack[0].kind for stack in stacks} == {"thread"}
    assert {stack[1].function for stack in stacks} == {"<module>", "Thread._bootstrap"}
    assert intact(stacks) == (stacks, 0)


def test_py_spy_with_subprocesses_and_short_file_names() -> None:
    stacks = stacks_of((HERE / "py-spy-subprocesses.folded").read_text())
    assert sum(stacks.values()) == 49  # py-spy: "Samples: 49 Errors: 0"
    assert {stack[0].function for stack in stacks} == {'process 31488:"/usr/bin/python3 app.py"'}


def test_a_py_spy_dump() -> None:
    threads = {thread.name: thread for thread in read_dump((HERE / "py-spy-dump.json").read_text())}
    assert {name: thread.tid for name, thread in threads.items()} == {
        "reaper": 31491,
        "worker-1": 31490,
        "MainThread": 31488,
    }
    assert [name for name, thread in threads.items() if thread.holds_gil] == ["MainThread"]
    assert threads["MainThread"].stack[0].function == "<module>"
    assert threads["worker-1"].stack[0].function == "Thread._bootstrap"
    assert not threads["reaper"].active


def test_perf_script_output() -> None:
    samples = list(parse_perf_script((HERE / "perf-script.txt").read_text()))
    assert len(samples) == 49  # grep -c ^python3
    assert (
        sum(frame.kind == "kernel" for sample in samples for frame in sample.stack) == 34
    )  # grep -c kallsyms


def test_a_go_profile() -> None:
    profile = parse_pprof((HERE / "go-cpu.pb.gz").read_bytes())
    # go tool pprof -raw, and -top -sample_index=samples
    assert leaves(profile.stacks) == {"main.hot": 35, "runtime.asyncPreempt": 10, "main.cold": 1}
    assert (round(profile.seconds, 2), profile.period) == (1.0, 0.01)
    assert {(stack[0].function, stack[1].function) for stack in profile.stacks} == {
        ("runtime.main", "main.main")
    }
    lines = {
        frame.line for stack in profile.stacks for frame in stack if frame.function == "main.hot"
    }
    assert lines == {14, 15}


def test_a_flight_recording_as_jfr_prints_it() -> None:
    stacks, cut = parse_jfr_print((HERE / "jfr-print.txt").read_text())
    assert sum(stacks.values()) == 13 and cut == 0  # grep -c 'stackTrace = \['
    assert sampled_threads((HERE / "jfr-print.txt").read_text()) == {"main": 13}
    assert leaves(stacks) == {"Spin.hot": 12, "Spin.cold": 1}
    assert {stack[0].function for stack in stacks} == {"com.sun.tools.javac.launcher.Main.main"}
    assert {stack[-2].line for stack in stacks} == {7}
