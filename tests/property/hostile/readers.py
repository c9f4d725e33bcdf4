"""Every reader of what others wrote, as a function of bytes that returns or raises what it says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from perfhunt.analysis.blame.culprits.source_lines import source_lines
from perfhunt.analysis.diagnosis.answer.refusal.deciding import refusal_in
from perfhunt.change.paths import role_of
from perfhunt.change.readers.every import ReadingTask, read_task
from perfhunt.change.readers.texts import FileTexts
from perfhunt.errors import PerfhuntError
from perfhunt.load.child.http.framing import ResponseHead
from perfhunt.load.messages import ANSWERS, ORDERS, WORKER_ANSWERS, WORKER_ORDERS, PipeReader
from perfhunt.model.document.bounded import json_value, toml_table, unzipped
from perfhunt.model.document.folded import unfold
from perfhunt.model.document.yaml_tree import yaml_value
from perfhunt.model.profiles.readers.cpuprofile import parse_cpuprofile
from perfhunt.model.profiles.readers.folded import read_folded
from perfhunt.model.profiles.readers.jfr import parse_collections, parse_jfr_print
from perfhunt.model.profiles.readers.perf_script import parse_perf_script
from perfhunt.model.profiles.readers.pprof import parse_pprof
from perfhunt.model.recorded.access_log import read_access_log
from perfhunt.model.recorded.curl import read_curl
from perfhunt.model.recorded.har import read_har
from perfhunt.model.recorded.k6.script import k6_traffic
from perfhunt.model.recorded.openapi.operations import openapi_traffic
from perfhunt.model.recorded.vegeta import read_vegeta
from perfhunt.model.testfile.feed import parse_feed, value_at
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.profilers.jvm.dump import DumpReader
from perfhunt.profilers.jvm.virtual import VirtualThreads
from perfhunt.profilers.py_spy.dump import read_dump
from perfhunt.profilers.py_spy.torn import intact
from perfhunt.reports import hyperfine
from perfhunt.store.calibration import load_calibration
from perfhunt.store.files import read_lines
from perfhunt.store.owner import owner_of
from perfhunt.store.pack.archive import Pack, packed, unpacked
from perfhunt.store.run_json import dumps, loads
from tests.property.hostile import programs
from tests.property.hostile.foreign import FOREIGN
from tests.sample_run import sample_run

GOLDEN = Path(__file__).parents[2] / "golden" / "profilers"
Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Reader:
    """A reader, inputs that it takes, and what it may raise beside the errors of perfhunt."""

    read: Read
    seeds: tuple[bytes, ...]
    may_raise: tuple[type[Exception], ...] = ()

    def try_on(self, raw: bytes) -> str:
        """ "read", or the error that refused it. Anything else is raised: a crash."""
        expected: tuple[type[Exception], ...] = (PerfhuntError, *self.may_raise)
        try:
            self.read(raw)
        except expected as error:
            assert str(error)
            return type(error).__name__
        return "read"


def _text(read: Callable[[str], object]) -> Read:
    return lambda raw: read(raw.decode("utf-8", "surrogateescape"))


def _lossy(read: Callable[[str], object]) -> Read:
    """As profilers' texts are decoded."""
    return lambda raw: read(raw.decode(errors="replace"))


def _in_store(read: Callable[[Path], object], name: str) -> Read:
    def on_disk(raw: bytes) -> object:
        with tempfile.TemporaryDirectory() as place:
            Path(place, name).write_bytes(raw)
            return read(Path(place))

    return on_disk


def _v8(raw: bytes) -> object:
    return parse_cpuprofile(json_value(raw, "the message"))


def _head(raw: bytes) -> object:
    head = ResponseHead()
    return all(head.feed(raw[i : i + 7]) for i in range(0, len(raw), 7))


def _question(text: str) -> object:
    return parse_question(text, "perfhunt.toml", Surroundings({"A": "1"}, _no_file))


def _no_file(name: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory")


def _edited(path: str) -> Read:
    """An edit of a file: added, and put behind an older version of itself."""

    def read(raw: bytes) -> object:
        text = raw.decode("utf-8", "surrogateescape")
        before = text[: len(text) // 2]
        for files in (FileTexts(path, None, text), FileTexts(path, before, text)):
            read_task(ReadingTask(role_of(path), (files,)), ())
        return None

    return read


def _golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def _beginning(name: str, size: int = 3000) -> bytes:
    raw = _golden(name)[:size]
    return raw[: raw.rindex(b"\n") + 1]


V8 = (
    b'{"nodes":[{"id":1,"callFrame":{"functionName":"(root)","url":"","lineNumber":-1},'
    b'"children":[2]},{"id":2,"callFrame":{"functionName":"f","url":"file:///a.js","lineNumber":4'
    b'}}],"samples":[2,2,1]}'
)
VIRTUAL = (
    b'{"threadDump":{"threadContainers":[{"threads":[{"tid":"3","virtual":true,"name":"a","state":'
    b'"WAITING","parkBlocker":{"object":"x.L@1f"},"stack":["m/a.B.c(B.java:1)"],"monitorsOwned":'
    b'[{"depth":1,"locks":["x.M@2a",null]}]}]}]}}'
)
TOML = b'[slo]\nlatency = { p99 = "<= 1s" }\n[[traffic]]\nrequest = "GET /a"\n[target]\nurl="http://h"\n'
TRAFFIC = (
    b'[slo]\nlatency = { p99 = "<= 1s" }\n[target]\nurl = "unix:/run/a.sock"\n'
    b'[login]\nrequest = "POST /in"\nextract = { t = "json:$.t" }\n'
    b'[[traffic]]\nrequest = "POST /"\n'
    b'body = { form = { a = ["{t}", "${A}"], b = { text = "x", type = "a/b" } } }\n'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok"
HYPERFINE = b'{"results":[{"command":"a","times":[0.1,0.2],"exit_codes":[0,0]}]}'

OPENAPI = b"""openapi: 3.0.0
servers: [{url: "http://localhost/v1"}]
security: [{k: []}]
paths:
  /a/{b}:
    parameters: [{$ref: "#/components/parameters/b"}]
    get: {responses: {200: {description: ok}}}
    post:
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/C"}}}}
components:
  securitySchemes: {k: {type: apiKey, in: header, name: X-K}}
  parameters: {b: {name: b, in: path, required: true, schema: {type: integer, minimum: 2}}}
  schemas:
    C: {type: object, properties: {d: {type: string}, e: {$ref: "#/components/schemas/C"}}}
"""
SWAGGER = (
    b'{"swagger":"2.0","basePath":"/v1","paths":{"/a":{"get":{"parameters":[{"in":"query","name":'
    b'"q","required":true,"type":"array","items":{"type":"number","maximum":3}}]}}}}'
)
K6 = b"""import http from 'k6/http';
import { check } from 'k6';
const BASE = __ENV.BASE || 'http://localhost:3000';
export const options = { stages: [{ target: 9 }], thresholds: { http_reqs: ['rate>1'] } };
export default function () {
  const r = http.post(`${BASE}/a/${id}`, JSON.stringify({ b: 'c', d: x }), { headers: { A: 'b' } });
  check(r, { ok: (r) => r.status === 201 });
  http.batch([['GET', BASE + '/e']]);
}
"""

READERS: dict[str, Reader] = {
    "pprof": Reader(parse_pprof, (unzipped(_golden("go-cpu.pb.gz"), 1 << 24, "it")[:4000],)),
    "pprof.gz": Reader(parse_pprof, (_golden("go-cpu.pb.gz"),)),
    "cpuprofile": Reader(_v8, (V8,)),
    "jfr": Reader(_lossy(parse_jfr_print), (_beginning("jfr-print.txt"),)),
    "jfr collections": Reader(_lossy(parse_collections), (_beginning("jfr-print.txt"),)),
    "java dump": Reader(_lossy(DumpReader().read), (_beginning("java-17-dump.txt"),)),
    "virtual threads": Reader(VirtualThreads(1, None).read, (VIRTUAL,)),  # type: ignore[arg-type]
    "perf script": Reader(
        _lossy(lambda text: list(parse_perf_script(text))), (_beginning("perf-script.txt"),)
    ),
    "py-spy folded": Reader(
        _lossy(lambda text: intact(read_folded(text).stacks)),
        (_beginning("py-spy-threads.folded"), _beginning("py-spy-subprocesses.folded")),
    ),
    "py-spy dump": Reader(read_dump, (_golden("py-spy-dump.json"),)),
    "folded of a run": Reader(
        _text(unfold), (b"a (x.py:1);b (y.py)_[native] 3\nc 2.5\n",), (ValueError,)
    ),
    "run.json": Reader(_text(loads), (dumps(sample_run()).encode(),)),
    "trials.jsonl": Reader(
        _in_store(lambda place: list(read_lines(place / "t")), "t"), (b'{"a":1}\n{"b":[2]}\n',)
    ),
    "owner.json": Reader(
        _in_store(owner_of, "owner.json"),
        (b'{"pid":1,"pid_started":1.5,"started":"2026","phase":"start"}',),
    ),
    "calibration.json": Reader(
        _in_store(load_calibration, "calibration.json"), (b'{"schema":1,"made":"2026-01-01"}',)
    ),
    "pack": Reader(
        partial(unpacked, what="it"), (packed(Pack("20261123T043000Z-1f3a9c", {"a/b": b"{}"})),)
    ),
    "hyperfine": Reader(_text(hyperfine.read), (HYPERFINE,)),
    "perfhunt.toml": Reader(_text(_question), (TOML, TRAFFIC)),
    "toml": Reader(_text(partial(toml_table, what="it")), (TOML, b"a.b.c = [1, {d = 2}]\n")),
    "feed.csv": Reader(partial(parse_feed, "f.csv"), (b"a,b\n1,2\n",)),
    "feed.jsonl": Reader(partial(parse_feed, "f.jsonl"), (b'{"a":1}\n{"a":2}\n',)),
    "har": Reader(
        _text(lambda text: [*read_har(text)]),
        (b'{"log":{"entries":[{"request":{"method":"GET","url":"http://a/b?c=d"}}]}}',),
    ),
    "curl": Reader(
        _text(lambda text: [*read_curl(text)]), (b"curl -H 'A: b' -d 'c=d' 'http://a/b' ;",)
    ),
    "vegeta": Reader(
        _text(lambda text: [*read_vegeta(text)]),
        (b"GET http://a/b\nC: d\n\n", b'{"method":"GET","url":"http://a/","body":"YQ=="}\n'),
    ),
    "access log": Reader(
        _text(lambda text: [*read_access_log(text)]),
        (b'1.2.3.4 - - [x] "GET /a?b HTTP/1.1" 200 5\n', b'{"method":"GET","path":"/a"}\n'),
    ),
    "yaml": Reader(
        _text(partial(yaml_value, what="it")), (b"a: &a {b: [1, 'c']}\nd: *a\ne:\n  <<: *a\n",)
    ),
    "openapi": Reader(_text(lambda text: openapi_traffic(text, "a")), (OPENAPI, SWAGGER)),
    "k6 script": Reader(_text(lambda text: k6_traffic(text, "a", "a.js")), (K6,)),
    "k6 script in TypeScript": Reader(_text(lambda text: k6_traffic(text, "a", "a.ts")), (K6,)),
    "refusal in a source": Reader(
        _text(lambda text: refusal_in({"/app.py": text}, 503, ("/a",))),
        (
            b"def a():\n    if b():\n        return 'x', 503\n",
            b"class A(B):\n    def a(self):\n        if not self.b.c(): raise A(503)\n",
        ),
    ),
    "target's source": Reader(
        _text(source_lines), (b"def f(x):\n    for y in x:\n        g(y)\n",)
    ),
    "orders": Reader(ORDERS.decode, (b"\x82\xa4type\xa8StopLoad\xa4hard\xc3",)),
    "answers": Reader(ANSWERS.decode, (b"\x82\xa4type\xa9LoadError\xa3why\xa1x",)),
    "worker orders": Reader(WORKER_ORDERS.decode, (b"\x81\xa4type\xa9Heartbeat",)),
    "worker answers": Reader(
        WORKER_ANSWERS.decode, (b"\x83\xa4type\xacClockReading\xa2at\x01\xa6theirs\x02",)
    ),
    "pipe": Reader(
        lambda raw: PipeReader(ANSWERS).feed(raw),
        (b"\0\0\0\x16\x82\xa4type\xa9LoadError\xa3why\xa1x",),
    ),
    "head of an answer": Reader(_head, (HEAD,)),
    "answer to a login": Reader(
        lambda raw: value_at('json:$.data[0]["a b"]', [], raw), (b'{"data": [{"a b": "t-1"}]}',)
    ),
    "cookie of a login": Reader(
        lambda raw: value_at("cookie:sid", [("Set-Cookie", raw.decode("latin-1"))], b""),
        (b"sid=a=b; Path=/; HttpOnly",),
    ),
}

READERS |= {
    "program": Reader(programs.read_program, (programs.program(),), (OSError, ValueError)),
    "Go's tables": Reader(programs.read_go, (programs.go_tables(),)),
    "console": Reader(programs.read_updates, (programs.update(),)),
    "compiled name": Reader(programs.read_name, programs.NAMES),
}

EDITED: dict[str, bytes] = {
    "app.py": b"import os\nX = 1\n\n\nclass A:\n    def f(self, a):\n       "
    b" return [b for b in a]\n",
    "settings.py": b"DEBUG = True\nWORKERS = 4\n",
    "a.js": b"import x from 'y';\nclass A { f(a) { return a + 1; } }\napp.get('/x', (q) => q);\n",
    "a.ts": b"export function f(a: number): string { return `${a}`; }\n",
    "a.go": b"package a\n\nfunc (s *S) F(x int) int {\n\treturn x\n}\n",
    "A.java": b"class A {\n  int f(int x) { return x; }\n}\n",
    "a.rs": b"impl A {\n    fn f(x: u8) -> u8 { x }\n}\n",
    "requirements.txt": b"a==1.0\nb>=2 # via c\n",
    "pyproject.toml": b'[project]\nname = "a"\ndependencies = ["b>=1"]\n[tool.poetry'
    b'.dependencies]\nc = "1"\n',
    "poetry.lock": b'[[package]]\nname = "a"\nversion = "1"\n[package.dependencies]\nb = "*"\n',
    "Pipfile.lock": b'{"default": {"a": {"version": "==1"}}, "develop": {}}',
    "package.json": b'{"scripts": {"start": "node a"}, "dependencies": {"a": "^1"}}',
    "package-lock.json": b'{"packages": {"node_modules/a": {"version": "1", "dependenci'
    b'es": {"b": "1"}}}}',
    "go.mod": b"module a\n\ngo 1.22\n\nrequire (\n\ta.b/c v1.0.0\n\td.e/f v2 // indirect\n)\n",
    "Cargo.toml": b'[dependencies]\na = "1"\n[profile.release]\nlto = true\n',
    "Cargo.lock": b'[[package]]\nname = "a"\nversion = "1"\ndependencies = ["b 1"]\n',
    "pom.xml": b"<project><dependencies><dependency><groupId>a</groupId><artifactId>b</artifactId>"
    b"<version>${v}</version></dependency></dependencies></project>",
    "setup.py": b'setup(name="a", install_requires=["b>=1"])\n',
    "setup.cfg": b"[options]\ninstall_requires =\n  a>=1\n",
    "a.sql": b"CREATE TABLE t (a INT);\nINSERT INTO t VALUES (1);\nSELECT a"
    b" FROM t WHERE b = 'c';\n",
    "migrations/0001.py": b"class Migration:\n    operations = [migrations.RunSQL('SELECT 1')]\n",
    "a.yaml": b"a:\n  b: [1, 2]\nc: &d {e: f}\ng: *d\n",
    "a.json": b'{"a": {"b": [1, {"name": "c"}]}}',
    "conf.toml": b"[a]\nb = 1\n[[c]]\nd = 'e'\n",
    "nginx.conf": b"http {\n  server {\n    listen 80; # x\n  }\n}\n",
    ".env": b"A=1\nexport B=2\n",
    "Dockerfile": b'FROM a\nENV B=1 C=2\nCMD ["gunicorn", "-w", "4"]\n',
    "start.sh": b"#!/bin/sh\nA=1\nexec gunicorn -w 4 \\\n  app\n",
    "a.rb": b"class A\n  # x\n  B = ENV['SETTING_C']\nend\n",
}
READERS |= {f"edit of {path}": Reader(_edited(path), (seed,)) for path, seed in EDITED.items()}
READERS |= {name: Reader(read, seeds) for name, (read, seeds) in FOREIGN.items()}
# A child reads edits, in which any exception ends the reading of that file alone, and is told.
IN_A_CHILD = (RecursionError, MemoryError)
READERS |= {
    name: Reader(reader.read, reader.seeds, IN_A_CHILD)
    for name, reader in READERS.items()
    if name.startswith("edit of ")
}
