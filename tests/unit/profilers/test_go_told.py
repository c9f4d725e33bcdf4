"""Goroutines as Go tells of them by itself."""

from __future__ import annotations

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.states import ThreadState
from perfhunt.profilers.go.goroutines import Goroutine, GoStack, GoStatus
from perfhunt.profilers.go.told import samples_of
from perfhunt.profilers.go.waits import GoWait, way_of

# As Go 1.26 writes it, shortened.
TEXT = """goroutine 41 [running]:
runtime/pprof.writeGoroutineStacks({0x80aca0, 0x3d234956aff0})
\t/usr/local/go/src/runtime/pprof/pprof.go:819 +0x6b
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3464 +0x485

goroutine 1 [IO wait, 2 minutes]:
internal/poll.runtime_pollWait(0x7f59b5692000, 0x72)
\t/usr/local/go/src/runtime/netpoll.go:351 +0x85
internal/poll.(*FD).Accept(0xc000182080)
\t/usr/local/go/src/internal/poll/fd_unix.go:613 +0x28c
main.main()
\t/srv/shop/main.go:40 +0x1d

goroutine 7 [sync.Mutex.Lock]:
internal/sync.runtime_SemacquireMutex(0xc0000b4c6c?, 0x8?, 0x1?)
\t/usr/local/go/src/runtime/sema.go:95 +0x25
sync.(*Mutex).Lock(...)
\t/usr/local/go/src/sync/mutex.go:46
main.(*ledger).post(0xc000128060, {0x6f2c1d, 0x1})
\t/srv/shop/ledger.go:27 +0x8e
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3464 +0x485

goroutine 8 [chan receive]:
main.gather(0xc000128060)
\t/srv/shop/gather.go:12 +0x31

goroutine 9 [sleep]:
time.Sleep(0xb71b00)
\t/usr/local/go/src/runtime/time.go:363 +0x165
main.part[...](...)
\t/srv/shop/gather.go:20
...12 frames elided...
created by main.gather in goroutine 8
\t/srv/shop/gather.go:8 +0x56

goroutine 10 [runnable, locked to thread]:
\tgoroutine running on other thread; stack unavailable
created by main.main in goroutine 1
\t/srv/shop/main.go:30 +0x1

goroutine 11 [select]:
main.choose(0xc000128060)
\t/srv/shop/choose.go:3 +0x1
"""


def test_each_goroutine_has_its_stack_and_state_and_what_it_waits_for() -> None:
    accepts, locked, gathers, asleep, runnable, chooses = samples_of(1, TEXT)
    assert (accepts.state, accepts.wait_on) == (ThreadState.POLL, "client:")
    assert (locked.state, locked.wait_on) == (ThreadState.LOCK, "futex:0xc0000b4c6c")
    assert [(f.function, f.file, f.line) for f in locked.stack[:2]] == [
        ("main.(*ledger).post", "/srv/shop/ledger.go", 27),
        ("sync.(*Mutex).Lock", "/usr/local/go/src/sync/mutex.go", 46),
    ]
    assert asleep.state == ThreadState.SLEEP and asleep.stack[0].function == "main.part[...]"
    assert gathers.wait_on in asleep.holds and gathers.state == ThreadState.LOCK
    assert (runnable.state, runnable.stack) == (ThreadState.RUN_QUEUE, ())
    assert chooses.wait_on == "futex:channel:of 11"


@pytest.mark.parametrize(
    "text", ["<html>", "goroutine 1 [running]:\nmain.main()", "goroutine 1 [running]:\na()\nb()"]
)
def test_what_is_none_of_it_is_an_error_with_the_line(text: str) -> None:
    with pytest.raises(AttachFailed, match="debug=2"):
        samples_of(1, text)


@pytest.mark.parametrize(
    ("beneath", "way"),
    [
        (("runtime.gcMarkDone", "runtime.gcAssistAlloc"), GoWait.COLLECTOR),
        (("runtime.gcStart", "runtime.mallocgcSmallScanNoHeader"), GoWait.COLLECTOR),
        (("internal/sync.runtime_SemacquireMutex", "sync.(*Mutex).Lock"), GoWait.LOCK),
    ],
)
def test_who_allocates_and_waits_for_the_collector_waits_for_no_lock(
    beneath: tuple[str, ...], way: GoWait
) -> None:
    calls = ("runtime.gopark", "runtime.semacquire1", *beneath, "main.buildTree")
    assert way_of(Goroutine(1, 7, 1, GoStatus.WAITING, 0, 0, GoStack((), calls))) is way
