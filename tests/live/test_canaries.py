"""No secret is kept: canaries of every shape go through investigations and profiles, and are looked
for in all that these left behind or said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfhunt.reports.format import FORMATS
from perfhunt.store.rundir import read_directory
from tests.live.running import SERVICES

pytestmark = [pytest.mark.live, pytest.mark.beside]

# Where each comes from, and what it looks like: a token, a word, a long number, base64.
CANARIES = {
    "an option": "C4naryOptionA1",
    "an option with its value attached": "C4naryAttachedB2",
    "a word behind an unknown option": "sweetswordfish",
    "a second word": "quietswordfish",
    "user and password": "hunterswordfish",
    "a title in argv[0]": "C4naryTitleC3",
    "an environment variable": "C4naryEnvD4",
    "a thread's name": "C4nThrE5",
    "a bare query": "C4naryBareF6",
    "a value of a query": "731946280517",
    "a parameter of a path": "C4naryParamG7",
    "an Authorization header": "QzRuYXJ5QmFzaWM=",
    "a header of a user's own": "C4naryHeaderH8",
    "a cookie": "C4naryCookieJ9",
    "a body": "C4naryJsonK0",
    "a text that must be answered": "C4naryExpectL1",
    "a value of a feed": "C4naryFeedM2",
    "the killswitch": "C4narySwitchN3",
    "who was told": "C4naryCommsP4",
    "the command of the process": "C4naryCommandQ5",
    "an answer": "C4naryAnswerR6",
    "a Set-Cookie": "C4narySetCookieS7",
    "a Location": "C4naryLocationT8",
    "what the service prints": "C4naryStderrU9",
    "a git remote": "C4naryRemoteV0",
    "what a locustfile prints": "C4naryPrintedW1",
    "what a locustfile logs": "C4naryLoggedX2",
    "an exception of a task": "C4naryTaskY3",
    "an error of on_start": "C4naryStartZ4",
    "a failure of an answer": "C4naryFailureA5",
    "a constant in a locustfile's URL": "C4naryConstantB6",
    "an error on import": "C4naryImportC7",
    "a value of the wrong type": "555173902846",
}
# What may be kept is looked for as well: else a search that finds nothing would prove nothing.
ALLOWED = ("AllowedTarget", "AllowedEndpoint", "secrets.py", "AllowedUser", "AllowedTask")

C = CANARIES
OWN_HEADER = C["a header of a user's own"]
TRAFFIC = f"""
schema = 1
[target]
url = "http://127.0.0.1:%(port)d"
name = "AllowedTarget"
process = {{ command = "--token={C["the command of the process"]}" }}
[slo]
latency = {{ p99 = "<= 250ms" }}
min_samples = 20
[ramp]
start = "20/s"
budget = "6s"
baseline = "2s"
hold = "4s"
[safety]
max_duration = "16s"
comms = "#told {C["who was told"]}"
killswitch = {{ file = "stop", url = "http://127.0.0.1:%(port)d/ok?sig={C["the killswitch"]}" }}
[[traffic]]
name = "AllowedEndpoint"
request = "POST /login?{C["a bare query"]}&pin={C["a value of a query"]}"
headers = {{ Authorization = "Basic {C["an Authorization header"]}", Cookie = "s={C["a cookie"]}",\
 X-Key = "{OWN_HEADER}", X-Env = "${{SHOP_TOKEN}}" }}
json = {{ password = "{C["a body"]}" }}
[[traffic]]
request = "GET /a;jsessionid={C["a parameter of a path"]}?user={{user}}"
feed = "users.csv"
expect = {{ body = "{C["a text that must be answered"]}" }}
weight = 0.05
[[traffic]]
request = "GET /moved"
"""
CLOSED = """
schema = 1
locustfile = "%(file)s"
[target]
url = "http://127.0.0.1:%(port)d"
[slo]
latency = { p99 = "<= 250ms" }
[ramp]
budget = "6s"
baseline = "2s"
start = "4/s"
loop = "%(loop)s"
[safety]
max_duration = "6s"
"""
LOCUSTFILE = f"""
import logging, sys
from locust import HttpUser, constant, task
print("{C["what a locustfile prints"]}", flush=True)
class AllowedUser(HttpUser):
    wait_time = constant(0.2)
    count = 0
    def on_start(self):
        AllowedUser.count += 1
        if AllowedUser.count == 2:
            raise RuntimeError("{C["an error of on_start"]}")
    @task
    def AllowedTask(self):
        logging.error("{C["what a locustfile logs"]}")
        self.client.get("/item/{C["a constant in a locustfile's URL"]}?q={C["a value of a query"]}")
        with self.client.get("/broken", catch_response=True) as answer:
            answer.failure("{C["a failure of an answer"]} " + answer.text)
        self.client.get("/moved", headers={{"X-Key": "{OWN_HEADER}"}})
        raise KeyError("{C["an exception of a task"]}")
"""


def found_in(content: bytes) -> list[str]:
    return [where for where, canary in CANARIES.items() if canary.encode() in content]


def perfhunt(directory: Path, *words: str, within: float = 120.0) -> bytes:
    """All that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "perfhunt", *words],
        cwd=directory,
        capture_output=True,
        timeout=within,
        env={**os.environ, "SHOP_TOKEN": C["an environment variable"]},
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    """Pid and port of a service in a repository of its own, and its directory."""
    home = tmp_path_factory.mktemp("shop")
    (home / "secrets.py").write_bytes((SERVICES / "secrets.py").read_bytes())
    remote = f"https://shop:{C['a git remote']}@git.example/shop.git"
    for words in (
        ["init", "-q"],
        ["remote", "add", "origin", remote],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *words], cwd=home, check=True)
    (home / "secrets.py").write_text((home / "secrets.py").read_text() + "\n# uncommitted\n")
    answers = " ".join(
        C[name]
        for name in (
            "an answer",
            "a Set-Cookie",
            "a Location",
            "what the service prints",
            "a thread's name",
        )
    )
    words = [
        f"shop: worker -b redis://:{C['a title in argv[0]']}@h/0",
        "secrets.py",
        f"--token={C['the command of the process']}",
        *("--password", C["an option"], f"-p{C['an option with its value attached']}"),
        *("-x", C["a word behind an unknown option"], C["a second word"]),
        *("--basic", f"admin:{C['user and password']}"),
    ]
    env = {**os.environ, "SHOP_ANSWERS": answers, "SHOP_TOKEN": C["an environment variable"]}
    child = subprocess.Popen(
        words,
        executable=sys.executable,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=env,
    )
    try:
        assert child.stdout is not None
        word, port = child.stdout.readline().split()
        assert word == "ready"
        yield child.pid, int(port), home
    finally:
        child.kill()
        child.wait()


def asked(home: Path, name: str, text: str, **values: object) -> str:
    (home / name).write_text(text % values)
    return name


def test_no_canary_is_kept_or_said(target: tuple[int, int, Path]) -> None:
    pid, port, home = target
    work = home / "work"
    work.mkdir()
    (work / "users.csv").write_text(f"user\n{C['a value of a feed']}\n")
    (work / "locustfile.py").write_text(LOCUSTFILE)
    failing = LOCUSTFILE + f"\nraise ValueError('{C['an error on import']}')\n"
    (work / "failing.py").write_text(failing)
    opened = asked(work, "open.toml", TRAFFIC, port=port)
    closed = asked(work, "closed.toml", CLOSED, port=port, file="locustfile.py", loop="closed")
    tasks = asked(work, "tasks.toml", CLOSED, port=port, file="locustfile.py", loop="open")
    broken = asked(work, "broken.toml", CLOSED, port=port, file="failing.py", loop="open")
    wrong = asked(
        work,
        "wrong.toml",
        TRAFFIC.replace(f'"{OWN_HEADER}"', C["a value of the wrong type"]),
        port=port,
    )
    common = ("--pid", str(pid), "--quick", "--json", "--allow-busy")
    said = {
        "doctor": perfhunt(work, "doctor", "--pid", str(pid), "--file", opened, "--watch", "0"),
        "init": perfhunt(work, "init", "--pid", str(pid), "--output", "perfhunt.toml"),
        "wrong": perfhunt(work, "investigate", "--file", wrong, "--pid", str(pid)),
        "open": perfhunt(work, "investigate", "--file", opened, *common, "--artifacts", "ci"),
        "closed": perfhunt(work, "investigate", "--file", closed, *common, "--profile", "off"),
        "tasks": perfhunt(work, "investigate", "--file", tasks, *common, "--profile", "off"),
        "broken": perfhunt(work, "investigate", "--file", broken, *common),
        "profile": perfhunt(work, "profile", "--pid", str(pid), "--seconds", "4"),
        "history": perfhunt(work, "history", "--json"),
        "report": perfhunt(work, "report", "last"),
    }
    runs = sorted((work / ".perfhunt" / "runs").iterdir())
    for run in runs:
        stored = read_directory(run)
        said |= {f"{run.name} {n}": f.render(stored).encode() for n, f in FORMATS.items()}
    _nothing_failed_for_another_reason(said, runs)
    written = {
        str(path.relative_to(work)): path.read_bytes()
        for place in (".perfhunt", "ci", "perfhunt.toml")
        for path in [work / place, *(work / place).rglob("*")]
        if path.is_file()
    }
    locks = Path("/tmp/perfhunt-locks")
    written |= {str(p): p.read_bytes() for p in locks.glob("*") if p.is_file()}
    kept = {where: found for where, text in (said | written).items() if (found := found_in(text))}
    assert kept == {}
    everything = b"".join([*said.values(), *written.values()])
    assert [name for name in ALLOWED if name.encode() not in everything] == []


def _nothing_failed_for_another_reason(said: dict[str, bytes], runs: list[Path]) -> None:
    """Each canary had its chance: the runs that should be there are, and errors were met."""
    documents: list[dict[str, Any]] = [json.loads((r / "run.json").read_text()) for r in runs]
    assert len(documents) == 5, said
    notes = json.dumps([t["generator"]["notes"] for d in documents for t in d["trials"]])
    assert "KeyError at locustfile.py" in notes
    assert "RuntimeError at locustfile.py" in notes
    assert any("GET /item/…" in t["routes"] for d in documents for t in d["trials"])
    assert b"ValueError at failing.py" in said["broken"]
    assert b"X-Key" in said["wrong"]
    assert any("AllowedEndpoint" in t["routes"] for d in documents for t in d["trials"])
    assert any("GET /a;…" in route for d in documents for t in d["trials"] for route in t["routes"])
    assert any(d["profiles"] for d in documents)


def test_the_text_of_an_error_is_kept_when_that_is_asked_for(
    target: tuple[int, int, Path],
) -> None:
    pid, port, home = target
    work = home / "kept"
    work.mkdir()
    (work / "failing.py").write_text(f"raise ValueError('{C['an error on import']}')\n")
    text = CLOSED + "[report]\nkeep_error_text = true\n"
    broken = asked(work, "broken.toml", text, port=port, file="failing.py", loop="open")
    said = perfhunt(work, "investigate", "--file", broken, "--pid", str(pid), "--allow-busy")
    assert found_in(said) == ["an error on import"]
