"""A server whose latencies are known in advance. Prints "ready PORT".

`stall`: answers at once, but for the last of every six seconds (from its start) answers nothing
until that second is over. `constant S`: answers after exactly S seconds. `queue S`: one server,
constant service time S, first come first served (x/D/1). `forgets S`: answers at once, but after S
seconds where nobody asked within the last tenth of one. A third word is the address to listen on.

`GET /measured` is answered at once with what truly happened: of each request so far, on this host's
monotonic clock, when it was read, when its answer was due, and when it was about to be written.
"""

import asyncio
import json
import sys
import time

PERIOD, STALL, FORGETS = 6, 1, 0.1  # seconds
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Model:
    def __init__(self, mode, seconds):
        self.mode, self.seconds = mode, seconds
        self.start = None
        self.free_at = 0.0

    def ready_at(self, now):
        """When the answer to a request that came `now` is due."""
        if self.mode == "constant":
            return now + self.seconds
        if self.mode == "queue":
            self.free_at = max(now, self.free_at) + self.seconds
            return self.free_at
        if self.mode == "forgets":
            cold = now - self.free_at > FORGETS
            self.free_at = now + self.seconds * cold
            return self.free_at
        if self.start is None:
            self.start = now
        phase = (now - self.start) % PERIOD
        return now + PERIOD - phase if phase >= PERIOD - STALL else now


async def until(moment):
    """asyncio rounds waits up to a millisecond: sleep short, then spin the rest."""
    while (left := moment - time.monotonic()) > 0:
        await asyncio.sleep(left - 0.0015 if left > 0.002 else 0)


async def main(model, host):
    measured = []

    async def answer(request):
        if request.startswith(b"GET /measured"):
            body = json.dumps(measured).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        read = time.monotonic()
        ready = model.ready_at(read)
        await until(ready)
        measured.append((read, ready, time.monotonic()))
        return HEAD

    async def serve(reader, writer):
        try:
            while True:
                writer.write(await answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, backlog=1000)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    words = [*sys.argv[1:], "0", "127.0.0.1"] if len(sys.argv) < 3 else [*sys.argv[1:], "127.0.0.1"]
    asyncio.run(main(Model(words[0], float(words[1])), words[2]))
