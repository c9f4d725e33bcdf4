"""k6 as a load program: a script of ours around the user's own, or around the requests of the test
file, with an executor that starts iterations at a constant rate.

An arrival is an iteration. It took from when it was due until it began, and the time that its
requests took: not what the script slept or computed. The worst of its requests, a check that failed
and an exception are how it ended. k6 sends no iteration for which it has no VU left: those count as
shed.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfhunt.load.child.programs.k6_script import BEGAN, MARK, THREW, K6Script, script_of
from perfhunt.load.child.programs.log import ArrivalLog, Ending, ProgramPlan
from perfhunt.load.child.programs.outcomes import error_outcome, plain_error
from perfhunt.load.child.programs.program import (
    OUTPUT,
    OutputReader,
    ProgramCommand,
    ProgramTraffic,
)
from perfhunt.load.child.sender import SendCounts
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import Bytes, Seconds

_NANO, _MILLI = 1e9, 1e3
_ERROR, _STATUS = b"error", b"status"  # columns of k6's CSV, of tags that the script asks for
_MARK = re.compile(rb"(?:^|&)" + MARK.encode() + rb"=([0-9]+)")  # among the metadata of a metric
_TIME, _VALUE = 1, 2  # columns that are always there
_BEGAN, _THREW = BEGAN.encode(), THREW.encode()
# What says something of an iteration; the two parts of an HTTP request add up to what it took.
_OF_ITERATIONS = frozenset(
    (
        *(_BEGAN, b"http_req_duration", b"http_req_blocked", b"grpc_req_duration"),
        *(b"http_req_failed", b"ws_sessions", b"checks", b"iteration_duration", _THREW),
    )
)
_SAVE_EVERY = "100ms"
_LONGEST_METRIC: Bytes = 1 << 20  # in lines: tags of a script's may hold whole texts
_NO_ERROR, _SWITCHED = 400, 101  # an HTTP status from which on k6 takes it for a failure; WebSocket
# What k6's own exit codes mean, of a run that was not ended from here.
_CODES = {107: "the script threw an exception in its setup or outside of its functions"}
_CODES[108] = "the script ended the test (exec.test.abort)"
# Of outcomes of the requests of an iteration the one that says most of it.
_WORST = (
    RequestOutcome.NOT_CLEARED,
    RequestOutcome.GENERATOR,
    RequestOutcome.TIMEOUT,
    RequestOutcome.CONNECT,
    RequestOutcome.RESET,
    RequestOutcome.TLS,
    RequestOutcome.PROTOCOL,
    RequestOutcome.STATUS,
    RequestOutcome.OK,
)


class K6:
    """See LoadProgram."""

    startup: Seconds = math.inf  # a setup of the script's may take long, and it says when it begins
    codes: Mapping[int, str] = _CODES

    def __init__(self, traffic: ProgramTraffic) -> None:
        """Raises TrafficError for a script that k6 does not take."""
        self._script: K6Script = script_of(traffic)
        self.routes, self.weights = self._script.routes, self._script.weights
        self.remarks = self._script.remarks

    def command(self, plan: ProgramPlan) -> ProgramCommand:
        return ProgramCommand(
            stages=(
                (
                    *("k6", "run", "--quiet", "--no-color", "--no-usage-report"),
                    *("--summary-mode=disabled", "--no-thresholds", "--address="),
                    *("--out", f"csv={OUTPUT}", "-"),
                ),
            ),
            given=self._script.text(plan),
            directory=self._script.directory,
            variables={"K6_CSV_TIME_FORMAT": "unix_nano", "K6_CSV_SAVE_INTERVAL": _SAVE_EVERY},
        )

    def reader(self, plan: ProgramPlan, log: ArrivalLog, counts: SendCounts) -> OutputReader:
        return _Metrics(plan, log, counts)


@dataclass(slots=True)
class _Iteration:
    """One iteration under way: which arrival it is, and what its requests came to so far."""

    n: int
    endpoint: int
    began: Seconds
    waits: list[tuple[Seconds, Seconds]] = field(default_factory=list)  # of each request
    status: int = 0
    worst: RequestOutcome = RequestOutcome.OK
    # Statuses of requests on which no word of failing was said; of errors, 0 and their text.
    unjudged: list[tuple[int, str]] = field(default_factory=list)

    def waited(self) -> Seconds:
        """How long answers were waited for; requests of a batch wait at once."""
        total, reached = 0.0, -math.inf
        for since, until in sorted(self.waits):
            total += max(0.0, until - max(since, reached))
            reached = max(reached, until)
        return total

    def meets(self, outcome: RequestOutcome, status: int = 0) -> None:
        """One of its requests, or of its checks, ended so."""
        if _WORST.index(outcome) <= _WORST.index(self.worst):
            self.worst = outcome
            self.status = status or self.status


class _Metrics:
    """k6's metrics, a record of CSV each. Ours says when an iteration begins; its metadata, which
    it is.
    """

    def __init__(self, plan: ProgramPlan, log: ArrivalLog, counts: SendCounts) -> None:
        self._plan, self._log, self._counts = plan, log, counts
        self._columns: dict[bytes, int] = {}
        self._under_way: dict[int, _Iteration] = {}
        self._dropped = 0
        self._rest = b""
        self._unread = 0
        self.paused: Seconds = 0.0

    def read(self, line: bytes) -> None:
        """One line; a tag of the script's may hold ends of lines."""
        if self._rest or line.count(b'"') % 2:
            line = self._rest + line
            if line.count(b'"') % 2 and len(line) < _LONGEST_METRIC:
                self._rest = line + b"\n"
                return
            self._rest = b""
        try:
            fields = line.split(b",") if b'"' not in line else _unquoted(line)
            if self._columns:
                self._take(fields, float(fields[_VALUE]))
            else:
                self._columns = {name: at for at, name in enumerate(fields)}
        except (ValueError, IndexError, KeyError):
            self._unread += 1

    @property
    def unread(self) -> int:
        return self._unread + bool(self._rest)

    def _take(self, fields: list[bytes], value: float) -> None:
        metric = fields[0]
        if metric == b"dropped_iterations":
            self._drop(round(value))
        elif metric in _OF_ITERATIONS and (mark := _MARK.search(fields[-1])) is not None:
            ordinal = int(mark[1])
            if metric == _BEGAN:
                self._begin(ordinal, int(fields[_TIME]) / _NANO)
            elif (iteration := self._under_way.get(ordinal)) is not None:
                self._of_iteration(metric, ordinal, iteration, fields, value)

    def _of_iteration(
        self, metric: bytes, ordinal: int, iteration: _Iteration, fields: list[bytes], value: float
    ) -> None:
        match metric:
            case b"http_req_failed":
                if iteration.unjudged:
                    iteration.unjudged.pop()
                self._request(iteration, *self._answer(fields), failed=value > 0)
            case b"ws_sessions":
                status, _ = self._answer(fields)
                self._request(iteration, status, "", failed=status != _SWITCHED)
            case b"perfhunt_threw":
                self._counts.note("an iteration of the script ended with an exception")
                iteration.meets(RequestOutcome.STATUS)
            case b"checks":
                if not value:
                    iteration.meets(RequestOutcome.STATUS)
            case b"iteration_duration":
                del self._under_way[ordinal]
                self._end(iteration, value / _MILLI)
            case b"http_req_blocked":  # before it was sent: the last one's
                since, until = iteration.waits[-1]
                iteration.waits[-1] = since - value / _MILLI, until
            case _:
                until = int(fields[_TIME]) / _NANO
                iteration.waits.append((until - value / _MILLI, until))
                status, text = self._answer(fields)
                if metric == b"http_req_duration":
                    iteration.unjudged.append((status, text))
                elif status:
                    self._counts.note(f"gRPC status {status}")
                    iteration.meets(RequestOutcome.STATUS)

    def _begin(self, ordinal: int, at: Seconds) -> None:
        """Which arrival it is: those begun and those dropped come in the order of time."""
        n = ordinal + self._dropped
        endpoint = int(self._plan.endpoint[ordinal % len(self._plan.endpoint)])
        self._under_way[ordinal] = _Iteration(n, endpoint, at)
        self._log.begins(n, at)

    def _drop(self, times: int) -> None:
        for _ in range(times):
            self._log.sheds(self._log.begun + self._dropped)
            self._dropped += 1

    def _answer(self, fields: list[bytes]) -> tuple[int, str]:
        """The status of a request, and the text of its error."""
        text = fields[self._columns[_ERROR]].decode("utf-8", "replace")
        return int(fields[self._columns[_STATUS]] or 0), text

    def _request(self, iteration: _Iteration, status: int, text: str, *, failed: bool) -> None:
        if not failed:
            iteration.meets(RequestOutcome.OK, status)
        elif status:
            iteration.meets(RequestOutcome.STATUS, status)
        else:
            self._counts.note(plain_error(text))
            iteration.meets(error_outcome(text))

    def _end(self, iteration: _Iteration, lasted: Seconds) -> None:
        """Says how an iteration ended. One without requests that are known here took as long as it
        lasted; requests of a script that has k6 judge none are judged as k6 does by itself.
        """
        for status, text in iteration.unjudged:
            self._request(iteration, status, text, failed=not 0 < status < _NO_ERROR)
        if iteration.waits:
            self.paused = max(self.paused, lasted - iteration.waited())
        self._log.ends(
            iteration.n,
            Ending(
                began=iteration.began,
                service=iteration.waited() if iteration.waits else lasted,
                outcome=iteration.worst,
                status=iteration.status,
                endpoint=iteration.endpoint,
            ),
        )


def _unquoted(line: bytes) -> list[bytes]:
    """The columns of a line in which some are quoted."""
    text = line.decode("utf-8", "surrogateescape")
    return [field.encode("utf-8", "surrogateescape") for field in next(csv.reader([text]))]
