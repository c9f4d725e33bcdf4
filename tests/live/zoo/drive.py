"""Load for the zoo: open loop (`PORT SECONDS rate R PATHS`) or closed (`PORT SECONDS users N
PATHS`), the paths (with commas between them) in turn; prints what came of it as JSON.

`completed` counts answers below 400 a second, `busy` is the part of a core that this took itself.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time


class Driver:
    def __init__(self, port: int, paths: list[str]) -> None:
        self.port = port
        self.paths = itertools.cycle(paths)
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.times: list[float] = []
        self.failed = 0  # answers of 400 and above
        self.lost = 0  # connections

    async def once(self, due: float) -> None:
        try:
            answered = await self.exchange()
            self.times.append(time.perf_counter() - due)
            self.failed += not answered
        except (OSError, asyncio.IncompleteReadError):
            self.lost += 1

    async def exchange(self) -> bool:
        reader, writer = (
            self.free.pop() if self.free else await asyncio.open_connection("127.0.0.1", self.port)
        )
        writer.write(f"GET {next(self.paths)} HTTP/1.1\r\nHost: zoo\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head or head.startswith(b"http/1.0"):
            writer.close()
        else:
            self.free.append((reader, writer))
        return int(head.split()[1]) < 400

    async def open_loop(self, rate: float, seconds: float) -> float:
        arrivals = random.Random(7)
        began, due, tasks = time.perf_counter(), 0.0, []
        while (due := due + arrivals.expovariate(rate)) < seconds:
            await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
            tasks.append(asyncio.create_task(self.once(time.perf_counter())))
        await asyncio.wait(tasks, timeout=2.0)
        return time.perf_counter() - began

    async def closed_loop(self, users: int, seconds: float) -> float:
        began = time.perf_counter()

        async def user() -> None:
            while time.perf_counter() - began < seconds:
                await self.once(time.perf_counter())

        await asyncio.gather(*(user() for _ in range(users)))
        return time.perf_counter() - began


async def main(port: int, seconds: float, kind: str, amount: float, paths: list[str]) -> None:
    driver = Driver(port, paths)
    took = await (
        driver.open_loop(amount, seconds)
        if kind == "rate"
        else driver.closed_loop(int(amount), seconds)
    )
    done = len(driver.times)
    said = {
        "completed": max(0, done - driver.failed) / took,
        "mean": sum(driver.times) / done if done else None,
        "p99": sorted(driver.times)[int(0.99 * done)] if done else None,
        "failed": driver.failed + driver.lost,
        "busy": time.process_time() / took,
    }
    print(json.dumps(said))


port, seconds, kind, amount, paths = sys.argv[1:]
asyncio.run(main(int(port), float(seconds), kind, float(amount), paths.split(",")))
