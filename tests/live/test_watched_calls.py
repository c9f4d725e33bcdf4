"""Functions of a live program are watched as they are called, and nothing of it stays."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.profilers.native.calls import WatchedCalls, WatchedFunction
from perfhunt.profilers.native.image import ProcessImage
from tests.live.native_targets.build import built
from tests.live.profiler_targets.launch import Target, running, runs_freely
from tests.live.running import until
from tests.live.zoo.keeper import start_drive

pytestmark = [pytest.mark.live, pytest.mark.beside]
BREAKPOINT = b"\xcc"
WATCH = """
import sys, time
from perfhunt.profilers.native.calls import WatchedCalls, WatchedFunction
pid, offset, address = map(int, sys.argv[1:])
pay = WatchedFunction("pay", offset, address, stack=True)
calls = WatchedCalls(pid, f"/proc/{pid}/exe", [pay])
print("watching", flush=True)
time.sleep(600)
"""


def paying(target: Target) -> tuple[int, int]:
    """Where `pay` begins: in its file, in the process."""
    image, program = ProcessImage(target.pid), str(Path(f"/proc/{target.pid}/exe").resolve())
    file = image.files.of(program)
    assert file is not None
    begins = [f.begin for f in file.elf.containing("pay", 9) if f.name.endswith("shop::pay")]
    own = max(begins)  # what is cold of it comes first
    offset, address = file.elf.offset_of(own), image.address_of(program, own)
    assert offset is not None and address is not None
    return offset, address


def first_byte(target: Target, address: int) -> bytes:
    with open(f"/proc/{target.pid}/mem", "rb") as memory:
        memory.seek(address)
        return memory.read(1)


def watched(target: Target, stack: bool) -> WatchedCalls:
    offset, address = paying(target)
    pay = WatchedFunction("pay", offset, address, stack=stack)
    try:
        return WatchedCalls(target.pid, f"/proc/{target.pid}/exe", [pay])
    except AttachFailed as failed:
        pytest.skip(failed.message)


@pytest.mark.parametrize("stack", [True, False])
def test_each_call_is_seen_once_by_the_thread_that_made_it(stack: bool) -> None:
    """A service with a thread for each connection, which begin after the watching did."""
    with (
        running("", "mutex", program=built("cpp")) as target,
        closing(watched(target, stack)) as it,
    ):
        load = start_drive(target.told["port"], 2.0, "users", 3)
        seen = []

        def over() -> bool:
            seen.extend(it.taken())
            return load.poll() is not None

        assert until(over, 20.0)
        said = json.loads(load.communicate()[0])
        assert it.lost == 0
        assert runs_freely(target.pid)
    assert len(seen) == pytest.approx(2.0 * said["completed"], rel=0.2)
    assert [call.at for call in seen] == sorted(call.at for call in seen)
    assert len({call.tid for call in seen}) == 3
    assert all(bool(call.raw) == stack for call in seen)


def test_a_watcher_that_is_killed_leaves_the_program_as_it_was() -> None:
    with running("", "mutex", program=built("cpp")) as target:
        watched(target, stack=False).close()
        offset, address = paying(target)
        before = first_byte(target, address)
        words = [str(target.pid), str(offset), str(address)]
        watcher = subprocess.Popen([sys.executable, "-c", WATCH, *words], stdout=subprocess.PIPE)
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == b"watching\n"
        assert first_byte(target, address) == BREAKPOINT != before
        watcher.kill()
        watcher.communicate()
        assert until(lambda: first_byte(target, address) == before, 10.0)
        assert runs_freely(target.pid)
