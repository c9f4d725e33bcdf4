"""A compiled service of which the source was edited: whether the edit is in what runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.change.git.repository import find_repository
from perfhunt.change.running import same_code, stale
from perfhunt.errors import ChangeRefused
from perfhunt.jobs.verify.starter import CommandStarter
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Process, TargetProcess
from perfhunt.model.verdict.change import Atom, Change, Edit, FileEdit, Kind
from perfhunt.target.code.compiled import built_files, code_sha256
from perfhunt.target.find import find_target
from perfhunt.target.launch import ServiceCommand, running
from tests.git.repositories import project_repository, write_files

pytestmark = [pytest.mark.live, pytest.mark.beside]

SOURCE = r"""
#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT")))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int door = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(door, (void *)&at, sizeof at) || listen(door, 9)) return 1;
  for (;;) {
    char request[4096];
    int link = accept(door, 0, 0);
    if (read(link, request, sizeof request) > 0) write(link, "HTTP/1.1 204 Fine\r\n\r\n", 21);
    close(link);
  }
}
"""
EDITED = SOURCE.replace("Fine", "Good")
SCRIPT = """
import http.server, os
here = ("127.0.0.1", int(os.environ["PORT"]))
http.server.HTTPServer(here, http.server.BaseHTTPRequestHandler).serve_forever()
"""
BUILT = time.time() - 3600  # seconds since the epoch: all edits lie before any start
BUILD = ("cc", "-w", "-o", "server", "main.c")
COMMAND = ("./server",)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the service was built."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler (cc)")
    built(tmp_path / "shop", SOURCE)
    return tmp_path / "shop"


def built(place: Path, source: str) -> None:
    place.mkdir(exist_ok=True)
    (place / "main.c").write_text(source)
    subprocess.run(BUILD, cwd=place, check=True)


def dated(file: Path, at: float) -> None:
    os.utime(file, (at, at))


def edit_of(root: Path) -> Change:
    (root / "main.c").write_text(EDITED)
    dated(root / "server", BUILT)
    dated(root / "main.c", BUILT + 60)
    edits = (FileEdit("main.c", "main.c", Edit.CHANGED),)
    return Change(str(root), "b" * 40, "", (Atom(Kind.CODE, "main.c", "main"),), files=edits)


@contextmanager
def served(root: Path) -> Iterator[TargetProcess]:
    with running(ServiceCommand("shop", COMMAND, root), root / "log") as service:
        yield find_target(ProcessSelector(pid=service.pid), service.url)


def test_a_service_that_was_restarted_and_not_built_does_not_hold_the_edit(root: Path) -> None:
    with served(root) as target:
        before = code_sha256(target, str(root))
    change = edit_of(root)
    with served(root) as target:
        (doubt,) = stale(change, target)
        assert "server, the newest of what process" in doubt and "main.c was edited" in doubt
        assert same_code(change, target, before, code_sha256(target, str(root)))
    # A copy has a date of its own, and the bytes that it had.
    dated(root / "server", BUILT + 120)
    with served(root) as target:
        assert stale(change, target) == ()
        assert same_code(change, target, before, code_sha256(target, str(root)))
    built(root, EDITED)
    dated(root / "main.c", BUILT + 60)
    dated(root / "server", BUILT + 120)
    with served(root) as target:
        assert stale(change, target) == ()
        assert not same_code(change, target, before, code_sha256(target, str(root)))


def test_a_script_of_python_is_not_built_from_its_source(root: Path) -> None:
    (root / "main.py").write_text(SCRIPT)
    dated(root / "main.py", BUILT)
    change = Change(str(root), "b" * 40, "", (Atom(Kind.CODE, "main.py", "f"),))
    command = ServiceCommand("shop", (sys.executable, "main.py"), root)
    with running(command, root / "log") as service:
        target = find_target(ProcessSelector(pid=service.pid), service.url)
        assert not any("built" in doubt for doubt in stale(change, target))
        code = code_sha256(target, str(root))
        assert not same_code(change, target, code, code)


def test_two_versions_must_not_run_one_program(root: Path, tmp_path: Path) -> None:
    change = edit_of(root)
    places = {BASE: tmp_path / "base", HEAD: tmp_path / "head"}
    for name, source in ((BASE, SOURCE), (HEAD, EDITED)):
        built(places[name], source)

    def started(words: dict[str, tuple[str, ...]]) -> None:
        commands = {name: ServiceCommand(name, words[name], places[name]) for name in places}
        starter = CommandStarter(commands, tmp_path / "logs", change)
        starter.require_head(lambda: "")
        base = starter.start(BASE, 0)
        try:
            base.ready(lambda: "")
        finally:
            base.close()

    started(dict.fromkeys(places, COMMAND))
    with pytest.raises(ChangeRefused, match="byte for byte"):
        started(dict.fromkeys(places, (str(root / "server"),)))
    with pytest.raises(ChangeRefused, match=f"both versions run {root}"):
        started(dict.fromkeys(places, ("sh", "-c", f"cd {root} && exec ./server")))


def test_a_bundle_is_what_git_ignores_and_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    ignored = {".gitignore": "dist/\nnode_modules/\n"}
    project_repository(root, {**ignored, "src/app.ts": "let a: number = 1\n", "run.js": ""})
    write_files(root, {"dist/app.js": "let a = 1\n", "dist/node_modules/x/x.js": "", "new.js": ""})
    repository = find_repository(root, trusted=True)
    kept = {path: repository.keeps(path) for path in ("src", "run.js", "new.js", "dist")}
    assert kept == {"src": True, "run.js": True, "new.js": True, "dist": False}

    def files(script: str) -> list[str]:
        node = Process(
            pid=os.getpid(),
            parent=1,
            started=0.0,
            exe="/usr/bin/node",
            cmdline=("node", "--enable-source-maps", script),
            cwd=str(root),
            uid=0,
            threads=1,
            runtime="node",
        )
        return [file.path for file in built_files(node, str(root), repository.keeps)]

    assert files("dist/app.js") == [str(root / "dist/app.js")]
    assert files("run.js") == files("new.js") == files("node_modules/.bin/next") == []
