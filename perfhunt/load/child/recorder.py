"""Raw samples into a preallocated buffer, appended to the trial's file once a second: memory stays
flat.
"""

from __future__ import annotations

import os
import struct

from perfhunt.model.latency import SAMPLE

_LAYOUT = struct.Struct("<dffIHHBf")  # SAMPLE, packed; checked below
assert _LAYOUT.size == SAMPLE.itemsize

ROOM = 1 << 16  # samples held between two flushes; a fuller second is flushed early
_MAX_BYTES = 2**32 - 1


class Recorder:
    """Collects samples of one trial; `flush` appends them to the file, so that a killed run still
    has them.
    """

    __slots__ = ("_buffer", "_end", "_fd", "_used", "written")

    def __init__(self, path: str) -> None:
        self._fd = (
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            if path
            else -1
        )
        self._buffer = bytearray(ROOM * SAMPLE.itemsize)
        self._end = len(self._buffer)
        self._used = 0
        self.written = 0  # samples in the file

    def add(
        self,
        due: float,
        lag: float,
        service: float,
        size: int,
        status: int,
        endpoint: int,
        outcome: int,
        wait: float,
    ) -> None:
        """One arrival has ended. Times in seconds; fields as in SAMPLE."""
        used = self._used
        _LAYOUT.pack_into(
            self._buffer,
            used,
            due,
            lag,
            service,
            min(size, _MAX_BYTES),
            status,
            endpoint,
            outcome,
            wait,
        )
        self._used = used = used + 29
        if used == self._end:
            self.flush()

    @property
    def added(self) -> int:
        """Samples so far, flushed or not."""
        return self.written + self._used // SAMPLE.itemsize

    def add_bytes(self, samples: bytes) -> None:
        """Samples already packed, from another process."""
        self.flush()
        self._write(samples)

    def flush(self) -> None:
        """Appends what was collected to the file."""
        if self._used:
            self._write(memoryview(self._buffer)[: self._used])
            self._used = 0

    def _write(self, content: bytes | memoryview) -> None:
        view = memoryview(content)
        self.written += len(view) // SAMPLE.itemsize
        while self._fd >= 0 and len(view):
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Flushes and closes the file. May be called twice."""
        if self._fd >= 0:
            self.flush()
            os.close(self._fd)
            self._fd = -1


class SampleBuffer(Recorder):
    """Keeps packed samples until they are taken to be sent."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        super().__init__("")
        self._packed = bytearray()

    def _write(self, content: bytes | memoryview) -> None:
        self._packed += content
        super()._write(content)

    def take(self) -> bytes:
        """What has been collected since the last time."""
        self.flush()
        taken = bytes(self._packed)
        self._packed.clear()
        return taken
