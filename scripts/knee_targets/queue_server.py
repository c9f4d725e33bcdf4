"""An HTTP service that is a queue on purpose: k workers, first come first served, service times
from a known law.

The queue is kept in computed time and each answer is sent when its turn is over, so a late timer
delays one answer and never the queue behind it: the service's law is exact whatever else the
machine does. Prints `ready PORT`.
"""

import argparse
import asyncio
import heapq
import math
import random


class Queue:
    """When each arrival is done, in the loop's clock."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.free = [0.0] * asked.workers
        self.random = random.Random(asked.seed)
        self.mean, self.cv, self.pause, self.period = (
            asked.mean,
            asked.cv,
            asked.pause,
            asked.period,
        )
        self.sigma = math.sqrt(math.log(1 + self.cv**2)) if self.cv else 0.0

    def done(self, now: float) -> float:
        at = self.worked(now)
        held = self.mean * self.random.lognormvariate(-(self.sigma**2) / 2, self.sigma)
        if not self.cv:
            held = self.random.expovariate(1 / self.mean)
        left = max(at, self.free[0]) + held
        heapq.heapreplace(self.free, left)
        return max(now, self.real(left))

    def worked(self, now: float) -> float:
        if not self.period:
            return now
        whole, rest = divmod(now, self.period)
        return whole * (self.period - self.pause) + max(0.0, rest - self.pause)

    def real(self, worked: float) -> float:
        if not self.period:
            return worked
        whole, rest = divmod(worked, self.period - self.pause)
        return whole * self.period + self.pause + rest


class Connection(asyncio.Protocol):
    """Keep-alive HTTP/1.1, one request at a time, no bodies."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.buffer = queue, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, chunk: bytes) -> None:
        self.buffer += chunk
        loop = asyncio.get_running_loop()
        while b"\r\n\r\n" in self.buffer:
            _, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            loop.call_at(self.queue.done(loop.time()), self.answer)

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
            )


async def main(asked: argparse.Namespace) -> None:
    queue = Queue(asked)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(queue), "127.0.0.1", asked.port, backlog=1024
    )
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mean", type=float, required=True, help="seconds")
    parser.add_argument("--cv", type=float, default=0.0, help="of a lognormal; 0: exponential")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--period", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(main(parser.parse_args()))
