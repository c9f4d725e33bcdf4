"""vegeta as a load program: its targets one by one in the order of the schedule, its results read
as it encodes them.

vegeta's hit n is due (n + 1) intervals after it began, and its latency counts from when it was
sent: how late that was is counted here. It does not say what is under way.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from perfhunt.load.child.programs.log import ArrivalLog, Ending, ProgramPlan
from perfhunt.load.child.programs.outcomes import error_outcome, plain_error
from perfhunt.load.child.programs.program import (
    OutputReader,
    ProgramCommand,
    ProgramTraffic,
    plain_request,
)
from perfhunt.load.child.sender import SendCounts
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.question import RequestTemplate
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Seconds

_NANO = 1e9
# A rate such as 12.5/s is so many in so much time; vegeta takes whole numbers.
_PER: Seconds = 1000.0
# Columns of `vegeta encode --to csv`.
_TIMESTAMP, _CODE, _LATENCY, _IN, _ERROR, _BODY, _SEQ, _METHOD, _URL = 0, 1, 2, 4, 5, 6, 8, 9, 10
_COLUMNS = 11  # at least; headers follow


class Vegeta:
    """See LoadProgram."""

    startup: Seconds = 0.02
    codes: Mapping[int, str] = MappingProxyType({})

    def __init__(self, traffic: ProgramTraffic) -> None:
        self._traffic = traffic
        self._endpoints = [payloads.endpoint for payloads in traffic.payloads]
        self.routes = tuple(endpoint.name for endpoint in self._endpoints)
        self.weights = tuple(endpoint.weight for endpoint in self._endpoints)
        self.remarks: tuple[str, ...] = ()
        self._bodies = any(endpoint.expect.body is not None for endpoint in self._endpoints)
        self._lines: dict[tuple[int, int], bytes] = {}

    def command(self, plan: ProgramPlan) -> ProgramCommand:
        question, address = self._traffic.question, self._traffic.address
        host, port = address.sockaddr[:2]
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        url = urlsplit(question.target.url)
        named = f"{url.hostname}:{url.port or port}"
        attack = [
            *("vegeta", "attack", "-format=json", "-targets=stdin", "-lazy"),
            f"-rate={round(plan.rate * _PER)}/{_PER:.0f}s",
            f"-duration={len(plan.due) / plan.rate:.9f}s",
            f"-timeout={plan.timeout:.3f}s",
            *("-redirects=-1", "-http2=false", f"-max-body={-1 if self._bodies else 0}"),
        ]
        if ":" not in (url.hostname or ""):
            attack.append(f"-connect-to={named}:{where}")
        if not question.target.verify_tls:
            attack.append("-insecure")
        given = b"".join(map(self._line, plan.endpoint.tolist(), plan.row.tolist()))
        return ProgramCommand(
            stages=(tuple(attack), ("vegeta", "encode", "--to", "csv")), given=given
        )

    def _line(self, endpoint: int, row: int) -> bytes:
        """The target of one arrival, as vegeta reads it."""
        line = self._lines.get((endpoint, row))
        if line is None:
            request = plain_request(self._traffic.payloads[endpoint].get(row))
            headers: dict[str, list[str]] = {}
            for name, value in request.headers:
                headers.setdefault(name, []).append(value)
            target = {
                "method": request.method,
                "url": self._traffic.question.target.url + request.path,
                "header": headers,
                "body": base64.b64encode(request.body).decode(),
            }
            line = self._lines[endpoint, row] = json_text(target).encode() + b"\n"
        return line

    def reader(self, plan: ProgramPlan, log: ArrivalLog, counts: SendCounts) -> OutputReader:
        return _Results(self._endpoints, plan, log, counts)


class _Results:
    """vegeta's results, a line each."""

    def __init__(
        self,
        endpoints: list[RequestTemplate],
        plan: ProgramPlan,
        log: ArrivalLog,
        counts: SendCounts,
    ) -> None:
        self._endpoints, self._plan, self._log, self._counts = endpoints, plan, log, counts
        self.unread = 0
        self.paused: Seconds = 0.0  # it does nothing but send

    def read(self, line: bytes) -> None:
        """One result."""
        try:
            fields = _fields(line)
            n, code = int(fields[_SEQ]), int(fields[_CODE])
            began, service = int(fields[_TIMESTAMP]) / _NANO, int(fields[_LATENCY]) / _NANO
            size, error = int(fields[_IN]), fields[_ERROR]
            body = base64.b64decode(fields[_BODY])
        except (ValueError, IndexError, binascii.Error):
            self.unread += 1
            return
        if not 0 <= n < len(self._plan.due):
            return
        outcome = self._outcome(int(self._plan.endpoint[n]), code, error, body)
        self._log.ends(n, Ending(began, service, outcome, code, size))

    def _outcome(self, endpoint: int, code: int, error: str, body: bytes) -> RequestOutcome:
        if not code:
            self._counts.note(plain_error(error))
            return error_outcome(error)
        expect = self._endpoints[endpoint].expect
        good = code in expect.status if expect.status else code < 400
        if good and expect.body is not None:
            good = expect.body.encode() in body
        return RequestOutcome.OK if good else RequestOutcome.STATUS


def _fields(line: bytes) -> list[str]:
    """The columns of a line. An error may be quoted and hold commas; the rest never does."""
    text = line.decode("utf-8", "replace")
    if '"' in text:
        import csv

        return next(csv.reader([text]))
    fields = text.split(",")
    if len(fields) < _COLUMNS:
        raise ValueError(text)
    return fields
