"""The script that k6 runs: ours, around the user's own script or around the test file's requests.

The user's file stays as it is. It is imported, so that its functions run as they are; its scenarios
say which functions and how often, and all other options are kept but those that decide the load.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, summarize_address_range
from pathlib import Path
from typing import Any

from perfhunt.errors import LoadFailed
from perfhunt.load.child.programs.log import ProgramPlan
from perfhunt.load.child.programs.program import (
    ProgramTraffic,
    plain_request,
    script_directory,
)
from perfhunt.load.child.programs.user_script import K6Scenario, scenarios_of
from perfhunt.load.render import Payloads
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Seconds

# Our metrics: an iteration begins, and ends with an exception.
BEGAN, THREW = "perfhunt_began", "perfhunt_threw"
MARK = "perfhunt"  # in metadata: which iteration
# k6 takes whole numbers: a rate such as 12.5/s is so many in so much time.
_PER: Seconds = 1000.0
# Each virtual user holds a whole JavaScript runtime, made before the load begins.
MOST_USERS = 2000
_SHORTEST: Seconds = 1.0  # that k6 takes for a duration
# Different requests: each is a character in the list of arrivals, below where Unicode has gaps.
_MOST_REQUESTS = 50_000
_FIRST_CHARACTER = 0x30


@dataclass(frozen=True, slots=True)
class K6Script:
    """A script, but for the load. `calls` is JavaScript: a list of functions; `choices` how many
    there are of each endpoint.
    """

    routes: tuple[str, ...]
    weights: tuple[float, ...]
    remarks: tuple[str, ...]
    directory: str | None
    body: str
    options: Mapping[str, Any]
    payloads: Sequence[Payloads] = ()

    def text(self, plan: ProgramPlan) -> bytes:
        """The script for a step."""
        first = [sum(p.rows for p in self.payloads[:n]) for n in range(len(self.payloads))]
        picked = (
            [first[e] + r for e, r in zip(plan.endpoint.tolist(), plan.row.tolist(), strict=True)]
            if self.payloads
            else plan.endpoint.tolist()
        )
        mix = "".join(chr(_FIRST_CHARACTER + choice) for choice in picked)
        options = {**self.options, "scenarios": {"perfhunt": _scenario(plan)}}
        return (
            f"{self.body}\nconst mix = {json_text(mix)};\n"
            f"export const options = {_merged(options)};\n{_MAIN}"
        ).encode()


_MAIN = f"""
const began = new Counter('{BEGAN}');
const threw = new Counter('{THREW}');
export function perfhunt(data) {{
  const n = exec.scenario.iterationInTest;
  exec.vu.metrics.metadata.{MARK} = String(n);
  began.add(1);
  const call = calls[mix.charCodeAt(n % mix.length) - {_FIRST_CHARACTER}];
  try {{
    const done = call(data);
    return done instanceof Promise ? done.catch(failed) : done;
  }} catch (error) {{
    failed(error);
  }}
}}
function failed(error) {{
  threw.add(1);
  throw error;
}}
"""
_HEAD = """import exec from 'k6/execution';
import encoding from 'k6/encoding';
import http from 'k6/http';
import { Counter } from 'k6/metrics';
"""


def _merged(options: Mapping[str, Any]) -> str:
    """Ours over the user's, as JavaScript; `theirs` is theirs without what decides the load."""
    return f"Object.assign(theirs, {json_text(options)})"


def _scenario(plan: ProgramPlan) -> dict[str, object]:
    users = min(MOST_USERS, plan.in_flight)
    # k6 begins one at the very end, too: it ends half an interval after the last that is due.
    lasts = max(_SHORTEST, (len(plan.due) - 0.5) / plan.rate)
    return {
        "executor": "constant-arrival-rate",
        "exec": "perfhunt",
        "rate": max(1, round(plan.rate * _PER)),
        "timeUnit": f"{_PER:.0f}s",
        "duration": f"{lasts * 1000:.3f}ms",
        "preAllocatedVUs": users,
        "maxVUs": users,
        "gracefulStop": f"{plan.grace * 1000:.0f}ms",
    }


def script_of(traffic: ProgramTraffic) -> K6Script:
    """The script for what is to be sent. Raises LoadFailed."""
    path = traffic.question.k6_script
    return _around(path, traffic) if path else _of_requests(traffic)


def _options(traffic: ProgramTraffic) -> dict[str, Any]:
    """What is the same for every script: where it may go, and what is told of it."""
    return {
        "blacklistIPs": elsewhere(traffic.address.cleared),
        "insecureSkipTLSVerify": not traffic.question.target.verify_tls,
        "systemTags": ["status", "error"],
    }


def _of_requests(traffic: ProgramTraffic) -> K6Script:
    base = traffic.question.target.url
    requests = [
        _request(payloads, row, base)
        for payloads in traffic.payloads
        for row in range(payloads.rows)
    ]
    if len(requests) > _MOST_REQUESTS:
        raise LoadFailed(
            f"k6 is given {len(requests)} different requests, and takes {_MOST_REQUESTS} here",
            "Use a shorter feed, or the locust engine, which renders as it sends.",
        )
    timeout = f"{traffic.question.ramp.timeout * 1000:.0f}ms"
    body = (
        f"{_HEAD}const theirs = {{ discardResponseBodies: true }};\n"
        f"const requests = {json_text(requests)};\n" + _SENDING.replace("TIMEOUT", timeout)
    )
    return K6Script(
        routes=tuple(p.endpoint.name for p in traffic.payloads),
        weights=tuple(p.endpoint.weight for p in traffic.payloads),
        remarks=(),
        directory=None,
        body=body,
        options=_options(traffic),
        payloads=traffic.payloads,
    )


_SENDING = """import { check } from 'k6';
const below = http.expectedStatuses({ min: 100, max: 399 });
function sender(request) {
  const body = request.body === '' ? null : encoding.b64decode(request.body);
  const params = {
    headers: request.headers, timeout: 'TIMEOUT', redirects: 0,
    responseType: request.text === null ? 'none' : 'text',
    responseCallback: request.status.length ? http.expectedStatuses(...request.status) : below,
  };
  return () => {
    const answer = http.request(request.method, request.url, body, params);
    if (request.text !== null)
      check(answer, { text: (r) => r.body !== null && r.body.includes(request.text) });
  };
}
const calls = requests.map(sender);
"""


def _request(payloads: Payloads, row: int, base: str) -> dict[str, object]:
    request = plain_request(payloads.get(row))
    return {
        "method": request.method,
        "url": base + request.path,
        "headers": dict(request.headers),
        "body": base64.b64encode(request.body).decode(),
        "status": list(payloads.endpoint.expect.status),
        "text": payloads.endpoint.expect.body,
    }


def _around(path: str, traffic: ProgramTraffic) -> K6Script:
    scenarios = scenarios_of(path, traffic.environment)
    named = sorted({name for scenario in scenarios for name in scenario.variables})
    calls = ",\n".join(_call(scenario, named, traffic.environment) for scenario in scenarios)
    body = (
        f"{_HEAD}import * as user from {json_text(Path(path).absolute().as_uri())};\n"
        f"{_THEIRS}const calls = [\n{calls}\n];\n"
    )
    return K6Script(
        routes=tuple(scenario.name for scenario in scenarios),
        weights=tuple(scenario.weight for scenario in scenarios),
        remarks=_REMARKS,
        directory=script_directory(path),
        body=body,
        options=_options(traffic),
    )


_REMARKS = (
    "the script's own stages, users and thresholds are not used: the rate is [ramp]'s, in"
    " iterations a second, and the SLO is the test file's; what it sleeps is in no latency",
)
_THEIRS = """const theirs = Object.assign({}, user.options);
for (const word of ['scenarios', 'stages', 'vus', 'duration', 'iterations', 'thresholds', 'cloud',
  'ext', 'minIterationDuration', 'rps', 'systemTags', 'executionSegment', 'paused'])
  delete theirs[word];
export function setup() { return user.setup === undefined ? undefined : user.setup(); }
export function teardown(data) { if (user.teardown !== undefined) user.teardown(data); }
"""


def _call(scenario: K6Scenario, named: Sequence[str], environment: Mapping[str, str]) -> str:
    """The function of a scenario, with what the scenario sets. Users run iterations of every
    scenario, so what another one set is taken back: `named` are all variables that any one sets.
    """
    settings = ""
    for name in named:
        value = scenario.variables.get(name, environment.get(name))
        place = f"__ENV[{json_text(name)}]"
        settings += f"delete {place}; " if value is None else f"{place} = {json_text(value)}; "
    return f"(data) => {{ {settings}return user[{json_text(scenario.function)}](data); }}"


def elsewhere(cleared: Sequence[str]) -> list[str]:
    """Networks, in CIDR notation, that hold every address but the cleared ones."""
    addresses = [ip_address(text) for text in cleared]
    networks: list[str] = []
    for kind, bits in ((IPv4Address, 32), (IPv6Address, 128)):
        first = 0
        inside = sorted({int(a) for a in addresses if isinstance(a, kind)})
        for value in (*inside, 1 << bits):
            if first < value:
                between = summarize_address_range(kind(first), kind(value - 1))
                networks += map(str, between)
            first = value + 1
    return networks
