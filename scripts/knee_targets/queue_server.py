"""An HTTP service that is a queue on purpose: k workers, first come first served, service times
from a known law; a part of the requests in a lane of its own, and results that are never let go.

The queue is kept in computed time and each answer is sent when its turn is over, so a late timer
delays one answer and never the queue behind it: the service's law is exact whatever else the
machine does. Prints `ready PORT`.
"""

import argparse
import asyncio
import heapq
import math
import random
from collections.abc import Callable

KEPT = 2000  # bytes of a result that a leaking service keeps


class Queue:
    """When each arrival is done, in the loop's clock: `law` draws a service time, and all workers
    stand still for `pause` every `period`.
    """

    def __init__(
        self, workers: int, law: Callable[[], float], pause: float = 0.0, period: float = 0.0
    ) -> None:
        self.free = [0.0] * workers
        self.law, self.pause, self.period = law, pause, period

    def done(self, now: float, slower: float = 1.0) -> float:
        at = self.worked(now)
        left = max(at, self.free[0]) + slower * self.law()
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


class Service:
    """The queue that every request takes, but for those that have a lane of their own (a share of
    them, or a route). Every result is kept where the service leaks, and slows all that follow.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        self.random = random.Random(asked.seed)
        self.asked, self.kept = asked, []
        self.main = Queue(asked.workers, self.law(asked.mean, asked.cv), asked.pause, asked.period)
        self.lane = Queue(1, self.law(asked.lane_mean, asked.lane_cv))

    def law(self, mean: float, cv: float | None) -> Callable[[], float]:
        """Lognormal with that cv; 0 is exponential, None a constant."""
        if cv is None:
            return lambda: mean
        if not cv:
            return lambda: self.random.expovariate(1 / mean)
        sigma = math.sqrt(math.log(1 + cv**2))
        return lambda: mean * self.random.lognormvariate(-(sigma**2) / 2, sigma)

    def done(self, now: float, path: str) -> float:
        slower = 1 + self.asked.leak * len(self.kept) / 1000
        if self.asked.leak:
            self.kept.append(bytearray(KEPT))
        aside = path == self.asked.lane_route or self.random.random() < self.asked.lane_share
        return (self.lane if aside else self.main).done(now, slower)


class Connection(asyncio.Protocol):
    """Keep-alive HTTP/1.1, one request at a time, no bodies."""

    def __init__(self, service: Service) -> None:
        self.service, self.buffer = service, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, chunk: bytes) -> None:
        self.buffer += chunk
        loop = asyncio.get_running_loop()
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode()
            loop.call_at(self.service.done(loop.time(), path), self.answer)

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
            )


async def main(asked: argparse.Namespace) -> None:
    service = Service(asked)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(service), "127.0.0.1", asked.port, backlog=1024
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
    parser.add_argument("--lane-mean", type=float, default=0.0, help="seconds, one at a time")
    parser.add_argument("--lane-cv", type=float, help="none: a constant time; 0: exponential")
    parser.add_argument("--lane-share", type=float, default=0.0, help="of the requests, at random")
    parser.add_argument("--lane-route", default="", help="the path that takes the lane")
    parser.add_argument(
        "--leak", type=float, default=0.0, help="share that times grow by per 1,000 results kept"
    )
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(main(parser.parse_args()))
