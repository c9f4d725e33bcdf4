"""A process to look at, for `scripts/bench-looks`; needs nothing but the interpreter it runs in.

looks_target.py threads COUNT MOVING FRAMES: threads so deep, of which so many move all the time.
looks_target.py tasks RESTING MOVING: tasks of an event loop.
looks_target.py greenlets COUNT FRAMES MEGABYTES: greenlets of gevent, all at rest, beside so much
memory; that one needs gevent. Each says `ready` and goes on until
its input ends.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable

NAP = 0.02  # seconds; less than the time between two looks, so that whoever moves has moved
VARIED = 8  # frames, by which a stack grows and shrinks
GATE = threading.Lock()


def deep(frames: int, work: Callable[[], object]) -> object:
    return work() if frames <= 1 else deep(frames - 1, work)


def rest() -> None:
    GATE.acquire()


def nap() -> None:
    sum(range(200))
    time.sleep(NAP)


def move() -> None:
    """Seldom at the same place as at the last look."""
    while True:
        for frames in range(1, VARIED):
            deep(frames, nap)


def threads(count: int, moving: int, frames: int) -> None:
    GATE.acquire()
    # `run` and the two of `threading` that call it are frames as well, and so is the work.
    for number in range(count - 1):
        work, less = (move, VARIED // 2 + 1) if number < moving else (rest, 0)
        threading.Thread(target=deep, args=(frames - 4 - less, work), daemon=True).start()
    print("ready", flush=True)
    deep(frames - 2, sys.stdin.read)


class Connection:
    """What an idle connection of an async service is: three coroutines down to a future."""

    async def handle(self) -> None:
        while True:
            await self.receive()

    async def receive(self) -> object:
        return await self.next_message()

    async def next_message(self) -> object:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        return await future


async def answer() -> None:
    await asyncio.sleep(NAP)


async def request() -> None:
    while True:
        await answer()


async def tasks(resting: int, moving: int) -> None:
    kept = [asyncio.create_task(Connection().handle()) for _ in range(resting)]
    kept += [asyncio.create_task(request()) for _ in range(moving)]
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in kept:
        task.cancel()


def greenlets(count: int, frames: int, megabytes: int) -> None:
    import gevent

    kept = [os.urandom(1 << 20) for _ in range(megabytes)]
    for _ in range(count):
        gevent.spawn(deep, frames, lambda: gevent.sleep(1e6))
    gevent.sleep(0.1)
    print("ready", flush=True)
    gevent.get_hub().threadpool.apply(sys.stdin.read)
    del kept


kind, *numbers = sys.argv[1:]
if kind == "threads":
    threads(*map(int, numbers))
elif kind == "greenlets":
    greenlets(*map(int, numbers))
else:
    asyncio.run(tasks(*map(int, numbers)))
