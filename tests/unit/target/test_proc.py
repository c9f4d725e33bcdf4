"""What the pieces of /proc mean: addresses, call numbers, and two readings around one moment."""

import errno
import os
import platform
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.model.states import ThreadState
from perfhunt.profilers.py_spy.instants import ThreadReading, settle
from perfhunt.target.proc import process
from perfhunt.target.proc.process import CLOCK_TICKS, PAGE, cpu_used, identity, lives, stat
from perfhunt.target.proc.sock_diag import unread_connections
from perfhunt.target.proc.sockets import address
from perfhunt.target.proc.syscalls import SyscallKind, syscalls
from perfhunt.target.proc.threads import host_tids, is_held, own_number, tids, tracer
from perfhunt.target.proc.tree import descendants
from perfhunt.target.proc.waits import RUNNING, Wait, interpreter_ranges

MAPS = """\
555555554000-555555560000 r--p 00000000 08:01 1 /usr/local/bin/python3.12
555555560000-555555570000 r-xp 0000c000 08:01 1 /usr/local/bin/python3.12
555555570000-555555571000 rw-p 0001c000 08:01 1 /usr/local/bin/python3.12
555555a00000-555555c00000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000100000 r-xp 00000000 08:01 2 /usr/lib/libpython3.12.so.1.0
7f0000100000-7f0000180000 rw-p 00100000 08:01 2 /usr/lib/libpython3.12.so.1.0
7f0000180000-7f00001c0000 rw-p 00000000 00:00 0
7f00001d0000-7f00001e0000 rw-p 00000000 00:00 0
7f0000200000-7f0000210000 rw-p 00000000 08:01 3 /usr/lib/python3/dist-packages/fast.cpython-312.so
"""


def inside(address: int, maps: str = MAPS, exe: str = "") -> bool:
    return any(low <= address < high for low, high in interpreter_ranges(maps, exe))


def test_the_interpreters_own_data_and_bss_are_its_image_and_nothing_else_is() -> None:
    assert inside(0x555555570010)  # data of the program
    assert inside(0x7F0000100040)  # data of libpython
    assert inside(0x7F0000180040)  # bss: nameless, but right behind it
    assert not inside(0x7F00001D0040)  # nameless elsewhere: a stack or an arena
    assert not inside(0x555555A00040)  # heap
    assert not inside(0x7F0000200040)  # an extension, although `python` is in its path
    assert not inside(0x555555560010)  # code


def test_a_frozen_program_is_its_own_interpreter() -> None:
    maps = (
        "400000-500000 rw-p 00000000 08:01 1 /opt/shop/shop\n600000-700000 rw-p 00000000 08:01 2"
        " /opt/shop/libz.so\n"
    )
    assert inside(0x400010, maps, "/opt/shop/shop") and not inside(0x600010, maps, "/opt/shop/shop")


def test_a_process_that_is_not_python_has_no_interpreter() -> None:
    assert interpreter_ranges("400000-500000 rw-p 00000000 08:01 1 /usr/sbin/nginx\n") == []


HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
NAMES = {
    SyscallKind.FUTEX: {"futex", "futex_waitv", "futex_wait"},
    SyscallKind.EPOLL: {"epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter"},
    SyscallKind.POLL: {"poll", "ppoll"},
    SyscallKind.SELECT: {"select", "pselect6"},
    SyscallKind.SLEEP: {"nanosleep", "clock_nanosleep", "pause"},
    SyscallKind.ACCEPT: {"accept", "accept4"},
    SyscallKind.FILE_LOCK: {"flock"},
    SyscallKind.FCNTL: {"fcntl"},
    SyscallKind.SEMAPHORE: {"semop", "semtimedop"},
    SyscallKind.RECEIVE: {
        "read",
        "pread64",
        "readv",
        "preadv",
        "preadv2",
        "recvfrom",
        "recvmsg",
        "recvmmsg",
    },
}


@pytest.mark.parametrize("machine", sorted(HEADERS))
def test_call_numbers_are_those_of_the_kernels_header(machine: str) -> None:
    header = next((path for path in map(Path, HEADERS[machine]) if path.exists()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    numbers = {}
    for name, number in re.findall(
        r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE
    ):
        numbers[int(number)] = name
    table = syscalls(machine)
    named = {number: numbers[number] for number in table if number in numbers}
    assert len(named) > 0.8 * len(table)
    for number, name in named.items():
        if (expected := NAMES.get(table[number])) is not None:
            assert name in expected, (number, name)
        for call, members in NAMES.items():
            if name in members:
                assert table[number] is call, (number, name)


def test_an_unknown_architecture_has_no_calls_rather_than_wrong_ones() -> None:
    assert syscalls("riscv-of-tomorrow") == {}
    assert syscalls() == syscalls(platform.machine())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0100007F:1538", ("127.0.0.1", 5432)),
        ("00000000000000000000000001000000:0050", ("::1", 80)),
        ("0000000000000000FFFF00000500000A:0035", ("10.0.0.5", 53)),
    ],
)
def test_an_address_of_the_kernels_table_is_read(text: str, expected: tuple[str, int]) -> None:
    assert address(text) == expected


LOCK, SOCKET = Wait(ThreadState.LOCK, "futex:0x1"), Wait(ThreadState.SOCKET, "10.0.0.5:5432")


@pytest.mark.parametrize(
    ("before", "after", "active", "expected"),
    [
        (
            ThreadReading(LOCK),
            ThreadReading(LOCK),
            True,
            LOCK,
        ),  # both readings agree: py-spy's flag is not asked
        (ThreadReading(RUNNING), ThreadReading(LOCK), True, RUNNING),
        (ThreadReading(RUNNING), ThreadReading(LOCK), False, LOCK),
        (ThreadReading(LOCK), ThreadReading(RUNNING), None, LOCK),
        (ThreadReading(LOCK), ThreadReading(SOCKET), False, SOCKET),  # the later is the nearer
        (ThreadReading(LOCK), ThreadReading(SOCKET), True, SOCKET),  # nobody but py-spy saw it run
        (None, ThreadReading(SOCKET), False, SOCKET),
        (ThreadReading(SOCKET), None, False, SOCKET),
        (None, None, True, Wait(ThreadState.UNKNOWN)),
        (ThreadReading(RUNNING, 0, 0), ThreadReading(RUNNING, 9, 1), True, RUNNING),
        (
            ThreadReading(RUNNING, 0, 0),
            ThreadReading(RUNNING, 1, 9),
            True,
            Wait(ThreadState.RUN_QUEUE),
        ),
    ],
)
def test_a_moment_between_two_readings(
    before: ThreadReading | None, after: ThreadReading | None, active: bool | None, expected: Wait
) -> None:
    assert settle(before, after, active) == expected


def test_whether_a_runnable_thread_ran_or_queued_is_told_over_the_longer_stretch() -> None:
    now, first = ThreadReading(RUNNING, 10, 90), ThreadReading(RUNNING, 0, 10)
    assert settle(now, now, True) == RUNNING
    assert settle(now, now, True, first) == Wait(ThreadState.RUN_QUEUE)


def test_a_process_name_with_brackets_and_spaces_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = (
        b"42 (a) (b c) S 7 42 42 0 -1 4194304 1 0 0 0 150 50 30 20 20 0 3 0 9000 1000 25"
        b" 18446744073709551615 4194304 4198400 140722"
    )
    monkeypatch.setattr(process, "read", lambda _: line)
    now = stat(42)
    assert now is not None
    assert (now.name, now.state, now.parent, now.threads) == ("a) (b c", "S", 7, 3)
    assert now.started == pytest.approx(9000 / CLOCK_TICKS)
    assert now.cpu == pytest.approx(200 / CLOCK_TICKS)
    assert now.children_cpu == pytest.approx(50 / CLOCK_TICKS)
    assert (now.rss, now.stack) == (25 * PAGE, 140722)


def test_cpu_time_is_finer_than_a_tick_and_agrees_with_the_processs_own_clock() -> None:
    now = stat(os.getpid())
    assert now is not None
    before = time.process_time()
    used = cpu_used(now)
    assert before <= used <= time.process_time()
    assert now.cpu <= used


def test_a_process_without_a_cpu_clock_has_the_ticks_of_its_stat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: int) -> float:
        raise OSError(errno.EINVAL, "Invalid argument")

    now = stat(os.getpid())
    assert now is not None
    monkeypatch.setattr(time, "clock_gettime", refused)
    assert cpu_used(now) == now.cpu


def test_this_process_is_in_its_own_tree_and_is_neither_held_nor_traced() -> None:
    assert descendants([os.getpid()])[0] == os.getpid()
    assert not is_held(os.getpid()) and tracer(os.getpid()) == 0
    assert stat(2**22 - 1) is None and tids(2**22 - 1) == []


def test_a_pid_that_was_given_out_again_is_not_the_same_process() -> None:
    ours = identity(os.getpid())
    assert ours is not None and lives(ours)
    assert not lives(replace(ours, started=ours.started - 1.0))
    assert identity(2**22 - 1) is None


def test_a_request_in_a_socket_counts_as_unread_until_somebody_reads_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if unread_connections(port) is None:
            pytest.skip("the kernel refuses netlink here")
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert unread_connections(port) == 0
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            # Loopback delivers before sendall returns, whether or not anybody has accepted.
            assert unread_connections(port, ipv4_only=True) == 1
            served, _ = listener.accept()
            with served:
                assert unread_connections(port) == 1
                served.recv(100)
                assert unread_connections(port) == 0


def test_a_thread_of_a_container_has_its_own_number_last_in_the_kernels_line() -> None:
    status = b"Name:\tpython\nNStgid:\t31905\t40\t1\nNSpid:\t31908\t43\t4\nNSpgid:\t31905\n"
    assert own_number(status, 31908) == 4
    assert own_number(b"Name:\tpython\nNSpid:\t31908\n", 31908) == 31908
    assert own_number(b"Name:\tpython\n", 31908) == 31908  # a kernel without the line


def test_threads_of_our_own_namespace_keep_their_numbers() -> None:
    here = tids(os.getpid())
    assert host_tids(os.getpid()) == {tid: tid for tid in here}
    assert host_tids(2**22 + 1) == {}
