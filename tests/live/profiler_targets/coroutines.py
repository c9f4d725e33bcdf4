"""An event loop whose tasks await things of every kind, for ever; says which."""

import asyncio
import contextlib
import json
import sys
import threading
import time

LOOP = sys.argv[1] if len(sys.argv) > 1 else "asyncio"


class Pool:
    def __init__(self) -> None:
        self.free: asyncio.Queue[int] = asyncio.Queue()
        self.free.put_nowait(1)

    async def acquire(self) -> int:
        return await self.free.get()


async def get_balance(pool: Pool) -> None:
    await pool.acquire()
    try:
        await asyncio.sleep(0.05)
    finally:
        pool.free.put_nowait(1)


async def update(lock: asyncio.Lock) -> None:
    async with lock:
        await asyncio.sleep(0.05)


async def in_a_thread() -> None:
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)


async def slow_part() -> None:
    await asyncio.sleep(0.05)


async def gather_parts() -> None:
    await asyncio.gather(slow_part(), slow_part())


async def in_time() -> None:
    await asyncio.wait_for(asyncio.sleep(0.05), 10)


async def numbers():
    while True:
        await asyncio.sleep(0.05)
        yield 1


async def read_numbers() -> None:
    async for _ in numbers():
        pass


async def read_socket(reader: asyncio.StreamReader) -> None:
    await reader.readexactly(1)


async def hold_up() -> None:
    time.sleep(0.2)
    await asyncio.sleep(0)


async def nap() -> None:
    await asyncio.sleep(0.01)


async def again(work, *arguments) -> None:
    while True:
        await work(*arguments)


async def serve() -> None:
    pool, lock = Pool(), asyncio.Lock()
    silent = []  # connections that are kept open, and never written to
    server = await asyncio.start_server(lambda *ends: silent.append(ends), "127.0.0.1", 0)
    reader, _writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    kinds = [(get_balance, pool)] * 4 + [(update, lock)] * 3
    kinds += [(in_a_thread,), (gather_parts,), (in_time,), (read_numbers,), (read_socket, reader)]
    tasks = [asyncio.create_task(again(*kind)) for kind in kinds]
    await asyncio.sleep(0.1)
    print("ready" + json.dumps({"tasks": len(tasks) + 1, "loop": LOOP}), flush=True)
    await asyncio.gather(*tasks)


def other_loop() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(again(slow_part))


async def blocked() -> None:
    """Tasks whose sleep is over long before the loop, which is held up, comes to them."""
    tasks = [asyncio.create_task(again(nap)) for _ in range(3)]
    print("ready" + json.dumps({"tasks": len(tasks) + 1}), flush=True)
    await asyncio.gather(again(hold_up), *tasks)


if LOOP == "blocked":
    asyncio.run(blocked())
if LOOP == "uvloop":
    import uvloop

    uvloop.install()
threading.Thread(target=other_loop, daemon=True).start()
asyncio.run(serve())
