"""Stacks of compiled code, on this very process: its C library says where its functions are, and
the kernel what its threads do.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from perfhunt.analysis.blame.frames import Code, Origin, in_event_loop
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.states import ThreadState
from perfhunt.profilers.native.image import ProcessImage
from perfhunt.profilers.native.looker import NativeLooker, _is_condition
from perfhunt.profilers.native.one_sample import OneSample
from perfhunt.profilers.native.unwind import Registers, StackCopy, Unwinder
from perfhunt.target.binary.elf import Elf
from perfhunt.target.binary.tables import UnwindTables

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the registers of x86-64 are read"
)
LIBC = ctypes.CDLL(None)


def address_of(function: str) -> int:
    """Where the dynamic linker says a function is."""
    return ctypes.cast(getattr(LIBC, function), ctypes.c_void_p).value or 0


@contextmanager
def sleeping() -> Iterator[int]:
    """A thread that sleeps in the C library's poll, as its tid."""
    ready, done = threading.Event(), os.pipe()
    told: list[int] = []

    def sleep() -> None:
        told.append(threading.get_native_id())
        ready.set()
        os.read(done[0], 1)

    thread = threading.Thread(target=sleep)
    thread.start()
    ready.wait()
    try:
        yield told[0]
    finally:
        os.write(done[1], b"x")
        thread.join()
        for end in done:
            os.close(end)


@pytest.mark.parametrize("function", ["malloc", "qsort", "getaddrinfo", "pthread_mutex_lock"])
def test_an_address_is_named_as_the_dynamic_linker_names_it(function: str) -> None:
    image = ProcessImage(os.getpid())
    assert image.is_code(address_of(function))
    (frame,) = image.calls(address_of(function))
    assert frame.function.strip("_").endswith(function)
    assert "libc" in frame.file


def test_all_names_of_one_function_are_known() -> None:
    place = ProcessImage(os.getpid()).place(address_of("write"))
    assert place is not None
    libc = Elf(place.file)
    own = libc.address_of(place.offset + address_of("write") - place.begin)
    assert libc.names_at(own or 0) >= {"write", "__write"}
    assert not libc.names_at((own or 0) + 1)


def test_what_is_no_code_is_none() -> None:
    image = ProcessImage(os.getpid())
    heap = ctypes.create_string_buffer(64)
    assert not image.is_code(ctypes.addressof(heap))
    assert not image.is_code(0)


def test_a_sleeping_thread_is_walked_from_its_call_to_where_threads_begin() -> None:
    with sleeping() as tid, closing(NativeLooker(os.getpid())) as looker:
        sample = next(s for s in looker.look() if s.tid == tid and s.still)
        again = next(s for s in looker.look() if s.tid == tid)
    names = [frame.function for frame in sample.stack]
    assert names[-1].strip("_").endswith("read")
    assert names[0] in ("clone3", "clone")
    assert sample.state in (ThreadState.OTHER, ThreadState.SOCKET)
    assert again is sample  # It did not run: it is where it was.


def test_one_sample_of_a_thread_that_runs_is_where_code_is() -> None:
    done, tids = threading.Event(), list[int]()
    begun = threading.Event()

    def spin() -> None:
        tids.append(threading.get_native_id())
        begun.set()
        while not done.is_set():
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    begun.wait()
    try:
        once = OneSample()
        taken = next((s for _ in range(100) if (s := once.of(tids)) or once.refused), {})
    finally:
        done.set()
        thread.join()
    if once.refused:
        pytest.skip(f"perf_event_open: {once.refused}")
    at = taken[tids[0]].at
    assert ProcessImage(os.getpid()).is_code(at.code)
    assert taken[tids[0]].raw


def test_a_stack_of_garbage_ends() -> None:
    def nothing(address: int, size: int) -> bytes:
        return b""

    unwinder = Unwinder(ProcessImage(os.getpid()), nothing)
    garbage = os.urandom(4096)
    at = Registers(address_of("qsort"), 1 << 40, {})
    addresses, whole = unwinder.walk(at, StackCopy(1 << 40, garbage, nothing))
    assert addresses[0] == address_of("qsort")
    assert not whole


def test_a_process_that_is_gone_is_told_of() -> None:
    with pytest.raises(AttachFailed):
        NativeLooker(1 << 22)


def test_a_file_that_is_no_program_is_refused(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "file")
    for content in (b"#!/bin/sh\n" * 20, b"\x7fELF\x02\x01" + b"\xff" * 200):
        with open(path, "wb") as file:
            file.write(content)
        with pytest.raises(ValueError, match=r"."):
            Elf(path)


def test_tables_that_are_cut_or_wrong_say_nothing(tmp_path: os.PathLike[str]) -> None:
    library = ProcessImage(os.getpid()).calls(address_of("malloc"))[0].file
    with open(library, "rb") as file:
        whole = file.read(1 << 26)
    elf = Elf(library)
    section = elf.sections[".eh_frame"]
    path = os.path.join(tmp_path, "torn")
    torn = bytearray(whole)
    torn[section.offset : section.offset + section.size] = b"\xff" * section.size
    with open(path, "wb") as file:
        file.write(torn)
    tables, good = UnwindTables(Elf(path)), UnwindTables(elf)
    places = [address for address, _ in good.sampled(50)]
    assert places
    assert [tables.row(address) for address in places] == [None] * len(places)


RUST = "/srv/shop/target/release/shop"


@pytest.mark.parametrize(
    ("function", "file", "origin"),
    [
        ("shop::orders::price", RUST, Origin.APP),
        ("<shop::Cart as core::fmt::Display>::fmt", RUST, Origin.APP),
        ("std::thread::functions::sleep", RUST, Origin.RUNTIME),
        ("<std::net::tcp::TcpListener>::accept", RUST, Origin.RUNTIME),
        ("<[T] as core::fmt::Debug>::fmt", RUST, Origin.RUNTIME),
        ("<u32 as core::fmt::Display>::fmt", RUST, Origin.RUNTIME),
        ("<[u8]>::copy_within", RUST, Origin.RUNTIME),
        ("tokio::runtime::task::raw::poll", RUST, Origin.LIBRARY),
        ("<hyper::server::Conn<I> as core::future::future::Future>::poll", RUST, Origin.LIBRARY),
        ("std::thread::_State_impl::_M_run", "/srv/shop/shop", Origin.RUNTIME),
        ("shop::Order::price", "/srv/shop/shop", Origin.APP),
        ("__lll_lock_wait", "/usr/lib/x86_64-linux-gnu/libc.so.6", Origin.NATIVE),
        ("Mutex of deadpool-0.12.1/src/lib.rs:9", "/root/.cargo/registry/src/i/d/x.rs", "library"),
    ],
)
def test_whose_a_compiled_function_is(function: str, file: str, origin: Origin) -> None:
    code = Code(libraries=("tokio::", "hyper::"))
    assert code.origin(Frame(function, file, kind=FrameKind.NATIVE)) == origin


def test_the_loop_of_tokio_is_known_by_its_scheduler() -> None:
    worker = Frame(
        "tokio::runtime::scheduler::multi_thread::worker::run", RUST, kind=FrameKind.NATIVE
    )
    assert in_event_loop((worker, Frame("shop::receipt", RUST, kind=FrameKind.NATIVE)))
    assert not in_event_loop((Frame("shop::receipt", RUST, kind=FrameKind.NATIVE),))


@pytest.mark.parametrize(
    ("functions", "several"),
    [
        ("pay pthread_mutex_lock __lll_lock_wait", False),
        ("pay <std::sys::sync::mutex::futex::Mutex>::lock_contended syscall", False),
        ("pay parking_lot::raw_rwlock::RawRwLock::lock_exclusive_slow syscall", False),
        ("query __new_sem_wait_slow64 __futex_abstimed_wait_common", True),
        ("Runtime::block_on query syscall", True),  # std::counting_semaphore, inlined
        ("query <std::sys::sync::condvar::futex::Condvar>::wait syscall", True),
    ],
)
def test_who_sleeps_for_no_lock_waits_for_one_of_several_things(
    functions: str, several: bool
) -> None:
    stack = tuple(Frame(name, kind=FrameKind.NATIVE) for name in functions.split())
    assert _is_condition(stack) is several


def test_who_writes_under_a_lock_of_many_readers_is_read_of_the_c_library() -> None:
    lock = ctypes.create_string_buffer(64)  # sizeof(pthread_rwlock_t) is 56
    LIBC.pthread_rwlock_init(lock, None)
    writes, done = threading.Event(), threading.Event()
    tids: list[int] = []

    def write() -> None:
        tids.append(threading.get_native_id())
        LIBC.pthread_rwlock_wrlock(lock)
        writes.set()
        done.wait()
        LIBC.pthread_rwlock_unlock(lock)

    def read() -> None:
        LIBC.pthread_rwlock_rdlock(lock)
        LIBC.pthread_rwlock_unlock(lock)

    def other() -> None:
        LIBC.pthread_rwlock_wrlock(lock)
        LIBC.pthread_rwlock_unlock(lock)

    threads = [threading.Thread(target=target) for target in (write, read, other)]
    threads[0].start()
    writes.wait()
    for thread in threads[1:]:
        thread.start()
    here = range(ctypes.addressof(lock), ctypes.addressof(lock) + len(lock))
    try:
        with closing(NativeLooker(os.getpid())) as looker:
            for _ in range(1000):  # until both of them sleep
                samples = looker.look()
                on = {s.wait_on for s in samples if s.wait_on.startswith("futex:0x")}
                slept_on = {each for each in on if int(each[6:], 16) in here}
                if len(slept_on) == 2:
                    break
        holding = {sample.tid: sample.holds for sample in samples if sample.holds}
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(slept_on) == 2
    assert holding[tids[0]] >= slept_on
    assert all(tid == tids[0] or not slept_on & holds for tid, holds in holding.items())
