"""Threads that are watched from look to look, on this very process."""

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from perfhunt.target.proc.threads import WatchedThread, WatchedThreads

SPARE = 10  # descriptors of the lower half that are free


@contextmanager
def waiting(count: int) -> Iterator[None]:
    """So many more threads."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
        # To the kernel a thread ends a little later.
        while any(os.path.exists(f"/proc/self/task/{thread.native_id}") for thread in threads):
            time.sleep(0.001)


@contextmanager
def few_files() -> Iterator[int]:
    """With SPARE descriptors free below half of the limit, which is what is given."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    filling = [os.open(os.devnull, os.O_RDONLY)]
    while filling[-1] <= highest:
        filling.append(os.open(os.devnull, os.O_RDONLY))
    half = filling[-1] + 1 + SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * half, before[1]))
    try:
        yield half
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for each in filling:
            os.close(each)


def test_every_thread_is_watched_though_only_some_files_may_be_kept_open() -> None:
    with waiting(40), few_files() as half, closing(watched()) as threads:
        others = set(os.listdir("/proc/self/fd"))
        for _ in range(2):  # Those that are known, too.
            living = threads.living()
            assert living.keys() >= {thread.native_id for thread in threading.enumerate()}
            assert all(threads.ran(thread).count(b" ") == 2 for thread in living.values())
            assert all(thread.call() for thread in living.values())
        kept = {int(name) for name in set(os.listdir("/proc/self/fd")) - others}
        assert half - 1 in kept
        assert sum(number >= half for number in kept) <= 1  # the listing's own


def test_who_has_ended_is_let_go() -> None:
    with closing(watched()) as threads:
        with waiting(3):
            before = threads.living()
        ended = [before[number] for number in before.keys() - threads.living().keys()]
        assert len(ended) >= 3
        assert not any(threads.ran(thread) or thread.call() for thread in ended)


def watched() -> WatchedThreads[WatchedThread]:
    return WatchedThreads(os.getpid(), WatchedThread)
