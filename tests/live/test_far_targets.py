"""Services that are looked at where they live, by way of a command: here one that enters the
namespaces of a holder, as `kubectl exec` and `docker exec` do.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from perfhunt.errors import AttachFailed, TargetNotFound
from perfhunt.profilers.remote.link import FarHost
from perfhunt.profilers.remote.messages import LARGEST
from tests.live.running import SERVICES, run_json, until
from tests.live.test_boxes import perfhunt, visited

pytestmark = pytest.mark.live
APART = ("--pid", "--fork", "--mount", "--mount-proc", "--kill-child")
# Brings loopback up where there is another one, then is the service, as process 1.
SERVE = 'if [ "$0" = net ]; then ip link set lo up; fi; exec "$@"'


@dataclass(frozen=True)
class Pod:
    """A service behind a prefix: its pid here, and its port; there it is process 1."""

    pid: int
    port: int
    prefix: str


@contextmanager
def pod(directory: Path, network: bool) -> Iterator[Pod]:
    """`threaded.py` in namespaces of its own, with a network of its own where that is asked for,
    and a command that enters them. Skips, with the reason, where they may not be made.
    """
    apart = [*APART, *(["--net"] if network else [])]
    probe = subprocess.run(["unshare", *apart, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"no namespaces of its own: {probe.stderr.strip()}")
    service = ["sh", "-c", SERVE, "net" if network else "here"]
    words = [sys.executable, "-u", str(SERVICES / "threaded.py")]
    outer = subprocess.Popen(
        ["unshare", *apart, *service, *words],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert outer.stdout is not None
    try:
        word, port = outer.stdout.readline().split()
        assert word == "ready"
        (inner,) = psutil.Process(outer.pid).children()
        prefix = directory / "into the pod"
        entering = f"exec nsenter -t {inner.pid} -m -p {'-n' if network else ''} --"
        python = shlex.quote(str(Path(sys.executable).parent))
        prefix.write_text(f'#!/bin/sh\nPATH={python}:$PATH {entering} "$@"\n')
        prefix.chmod(0o755)
        yield Pod(inner.pid, int(port), shlex.quote(str(prefix)))
    finally:
        os.killpg(outer.pid, signal.SIGKILL)
        outer.wait()
        outer.stdout.close()


def test_a_profile_by_way_of_a_command_names_the_function_that_all_wait_in(tmp_path: Path) -> None:
    with pod(tmp_path, network=True) as there, visited(there.pid, there.port):
        words = ("profile", "--pid", "1", "--seconds", "4", "--exec-prefix", there.prefix)
        done = perfhunt(tmp_path, *words)
        assert done.returncode == 0, done.stderr
    run = run_json(tmp_path)
    assert run["findings"][0]["function"] == "under_the_lock"  # type: ignore[index]
    assert run["bottleneck"]["class"] == "lock"  # type: ignore[index]
    assert run["target"]["root"] == 1  # type: ignore[index]
    assert "by way of" in json.dumps(run["target"])


@pytest.mark.long
def test_a_search_loads_from_here_and_looks_there(tmp_path: Path) -> None:
    with pod(tmp_path, network=False) as there:
        (tmp_path / "perfhunt.toml").write_text(
            f'schema = 1\n[target]\nurl = "http://127.0.0.1:{there.port}"\n[slo]\n'
            'latency = { p99 = "<= 40ms" }\n[ramp]\nstart = "40/s"\nhold = "8s"\n'
        )
        words = ("investigate", "--pid", "1", "--quick", "--json", "--exec-prefix", there.prefix)
        done = perfhunt(tmp_path, *words, "--url", f"http://127.0.0.1:{there.port}")
        assert done.returncode in (0, 99, 91), done.stderr
    run = run_json(tmp_path)
    assert run["findings"][0]["function"] == "under_the_lock"  # type: ignore[index]
    assert all(trial["resources"]["cpu"] for trial in run["trials"])  # type: ignore[attr-defined]


@pytest.mark.beside
def test_doctor_by_way_of_a_command_says_what_is_seen_there(tmp_path: Path) -> None:
    with pod(tmp_path, network=True) as there:
        done = perfhunt(tmp_path, "doctor", "--pid", "1", "--exec-prefix", there.prefix, "--json")
        gone = perfhunt(tmp_path, "doctor", "--pid", "2222222", "--exec-prefix", there.prefix)
    said = {check["name"]: check["sentence"] for check in json.loads(done.stdout)}
    assert "the stacks of 1 thread of pid 1 were read from its memory" in said["looks"]
    assert gone.returncode == 2 and "no process with pid 2222222" in gone.stderr


@pytest.mark.beside
def test_nothing_is_left_there_when_perfhunt_is_killed(tmp_path: Path) -> None:
    with pod(tmp_path, network=True) as there:
        words = ["profile", "--pid", "1", "--seconds", "60", "--exec-prefix", there.prefix]
        running = subprocess.Popen(
            [sys.executable, "-m", "perfhunt", *words],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def there_now() -> list[psutil.Process]:
            found = []
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    if "-m code" in " ".join(process.cmdline()) and inside(process.pid):
                        found.append(process)
            return found

        def inside(pid: int) -> bool:
            return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{there.pid}/ns/pid")

        def looks() -> bool:
            # It has read its program and begun to look: it has threads of its own.
            return any(process.num_threads() > 2 for process in there_now())

        try:
            assert until(looks, 20.0)
        finally:
            running.kill()
            running.wait()
        assert until(lambda: not there_now(), 10.0)


@pytest.mark.beside
@pytest.mark.parametrize(
    ("prefix", "sentence", "way_out"),
    [
        (["env", "PATH=/"], "no python3 could be run", "kubectl debug"),
        (["sh", "-c", 'exec "$@" < /dev/null', "sh"], "given nothing to do", "docker exec -i"),
        (["sh", "-c", "printf '\\0perfhunt ready 2.7\\n'; cat", "sh"], "is 2.7", "kubectl debug"),
    ],
    ids=["none", "no input", "old"],
)
def test_without_a_python_there_it_says_so(prefix: list[str], sentence: str, way_out: str) -> None:
    with pytest.raises(AttachFailed, match=sentence) as refused:
        FarHost(prefix)
    assert way_out in refused.value.hint


def found_there(prefix: Sequence[str]) -> str:
    """Which Python looks behind a prefix, once it has looked at this very process."""
    with FarHost(prefix) as far, socket.create_server(("127.0.0.1", 0)):
        far.target(os.getpid(), None)
        checks = {check.name: check.sentence for check in far.checks()}
    assert "were read from its memory" in checks["looks"]
    return checks["python"]


@pytest.mark.beside
def test_a_python_that_is_named_by_its_version_will_do(tmp_path: Path) -> None:
    major, minor = sys.version_info[:2]
    (tmp_path / f"python{major}.{minor}").symlink_to(sys.executable)
    assert f"python {major}.{minor}." in found_there(["env", f"PATH={tmp_path}"])


@pytest.mark.beside
def test_nothing_need_be_writable_there() -> None:
    within = ["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    _or_skip([*within, "true"])
    assert found_there([*within, "env", f"PATH={Path(sys.executable).parent}"])


@pytest.fixture
def ssh(tmp_path: Path) -> list[str]:
    """The words of a client of a real OpenSSH server, which its client starts for each line. Skips,
    with the reason, where there is none.
    """
    _or_skip(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")])
    served = tmp_path / "sshd_config"
    served.write_text(
        f"HostKey {tmp_path}/key\nAuthorizedKeysFile {tmp_path}/key.pub\nStrictModes no\n"
    )
    known, never = "UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no"
    proxy = f"ProxyCommand={_SSHD} -i -f {served}"
    options = [word for option in (known, never, proxy) for word in ("-o", option)]
    words = ["ssh", "-F", "none", "-i", str(tmp_path / "key"), *options, "there"]
    _or_skip([*words, "true"])
    return words


_SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "/usr/sbin/sshd"


def _or_skip(words: Sequence[str]) -> None:
    try:
        tried = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        pytest.skip(f"no {words[0]}: {error.strerror}")
    if tried.returncode != 0:
        pytest.skip(f"{words[0]}: {tried.stderr.strip()}")


@pytest.mark.beside
def test_the_way_by_ssh_passes_a_shell_and_a_terminal_is_refused(ssh: list[str]) -> None:
    found_there([*ssh, "env", f"PATH={shlex.quote(str(Path(sys.executable).parent))}"])
    with pytest.raises(AttachFailed, match=r"leads through a terminal") as refused:
        FarHost([ssh[0], "-tt", *ssh[1:]])
    assert "ssh -T" in refused.value.hint
    refusing = [ssh[0], "-o", "PubkeyAuthentication=no", *ssh[1:]]
    with pytest.raises(AttachFailed, match=r"code 255: .*Permission denied") as refused:
        FarHost(refusing)
    assert "without a question" in refused.value.hint and "kubectl" not in refused.value.hint


@pytest.mark.beside
def test_a_line_that_ends_while_it_is_used_is_told_and_never_read_again() -> None:
    before = psutil.Process().children()
    with FarHost(["env", f"PATH={Path(sys.executable).parent}"]) as far:
        (half,) = set(psutil.Process().children()) - set(before)
        half.kill()
        half.wait()
        for ask in (far.environment, far.dead):
            with pytest.raises(AttachFailed, match=r"the line through env PATH=\S* ended\n"):
                ask()


@pytest.mark.beside
def test_a_failure_of_the_half_that_looks_is_told_and_ends_it() -> None:
    with FarHost(["env", f"PATH={Path(sys.executable).parent}"]) as far:
        with pytest.raises(AttachFailed, match=r"ended: AssertionError"):
            far.end("never opened")
        with pytest.raises(AttachFailed, match=r"ended: AssertionError"):
            far.dead()


# A python3 of its own, which says what it is told to in place of the half that looks.
LIAR = """\
import os, sys
os.write(1, b"\\0perfhunt ready 3.12\\n")
os.read(0, 1 << 16)
os.write(1, b"\\0")
os.read(0, 1 << 16)
os.fork() or sys.exit(os.write(1, {answer!r}))
sys.stdin.buffer.read()
"""


def sent(text: bytes) -> bytes:
    packed = gzip.compress(text, 1)
    return len(packed).to_bytes(4, "big") + packed


@pytest.mark.beside
@pytest.mark.parametrize(
    "answer",
    [
        b"\xff\xff\xff\xff" + b"x" * 64,
        b"\0\0\0\x02{}",
        sent(b"{]"),
        sent(b"{}"),
        sent(b'{"answer":{}}'),
        sent(b'{"answer":[[1]]}'),
        sent(b'{"error":1}'),
        sent(b" " * (LARGEST + 1)),
    ],
    ids=["length", "not packed", "no json", "nothing", "no target", "a list", "no error", "a bomb"],
)
def test_what_a_liar_answers_is_refused(tmp_path: Path, answer: bytes) -> None:
    (tmp_path / "liar.py").write_text(LIAR.format(answer=answer))
    words = ["sh", "-c", f"exec {sys.executable} {tmp_path}/liar.py", "sh"]
    with FarHost(words) as far, pytest.raises((AttachFailed, TargetNotFound)):
        far.target(1, None)
