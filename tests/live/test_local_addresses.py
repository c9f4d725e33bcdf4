"""Services of this host that no 127.0.0.1 leads to: on a unix socket, on IPv6 alone; and proxies
that the environment names, which no load goes to.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.errors import TargetNotFound
from perfhunt.jobs.launched.service import launched
from perfhunt.model.question import ProcessSelector, RequestTemplate
from perfhunt.model.run import Listener, TargetProcess
from perfhunt.model.text.socket_url import socket_url
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Trial
from perfhunt.profilers.preflight import reachable
from perfhunt.target.address import local_url, locate
from perfhunt.target.find import find_target
from perfhunt.target.host.check import CheckStatus
from perfhunt.target.resources.monitor import ResourceMonitor
from tests.live.load_targets.harness import announced, engine, python, step
from tests.live.load_targets.receiver import Receiver
from tests.live.running import until

pytestmark = [pytest.mark.live, pytest.mark.beside]


@pytest.fixture
def sock(tmp_path: Path) -> Path:
    """Where a service listens: with capitals, which the host of a url would lose."""
    return tmp_path / "The App.sock"


@pytest.fixture
def on_unix(sock: Path) -> Iterator[str]:
    with announced(*python("mirror.py", str(sock))):
        yield socket_url(str(sock))


@pytest.fixture(params=["::1", "::"])
def on_ipv6(request: pytest.FixtureRequest) -> Iterator[str]:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this host has no IPv6: {error}")
    # asyncio binds :: for IPv6 alone, as Node and uvicorn do.
    with announced(*python("mirror.py", request.param)) as url:
        yield url.replace("127.0.0.1", "[::1]")


def asked(url: str, directory: Path, *lines: str) -> Trial:
    """Twenty requests for each line that the head of a request must hold."""
    wanted = [RequestTemplate(line, "GET", "/", expect=Expect(body=line)) for line in lines]
    with engine(url, directory, *wanted) as made:
        return made.run(step(40, 0.5, arrivals="uniform"))


def test_load_goes_to_a_unix_socket_for_the_host_localhost(on_unix: str, tmp_path: Path) -> None:
    trial = asked(on_unix, tmp_path, "\r\nHost: localhost\r\n")
    assert trial.outcomes == {"ok": 20}
    assert trial.invalid == ""
    assert trial.generator.connections_opened < 20  # and they are kept


def test_a_unix_socket_is_found_by_its_process_and_its_process_by_it(
    on_unix: str, sock: Path, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(sock))
        (pid, *_) = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    target, url = locate(ProcessSelector(pid=pid))
    assert url == on_unix
    assert target.root == pid
    assert [at.place for at in target.listeners] == [f"unix:{sock}"]
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    other = socket_url(str(tmp_path / "elsewhere" / sock.name))
    assert find_target(ProcessSelector(), other).root == pid
    assert find_target(ProcessSelector(pid=pid), other).notes == ()
    away = find_target(ProcessSelector(pid=pid), socket_url("/run/other.sock"))
    assert any("load goes to unix:/run/other.sock" in note for note in away.notes)
    assert reachable(on_unix).status is CheckStatus.OK
    assert "--unix-socket" in reachable(socket_url("/run/other.sock")).mend


def test_a_unix_socket_that_nobody_listens_on_is_refused_with_where_to_look(sock: Path) -> None:
    with pytest.raises(TargetNotFound, match="there is no unix socket"):
        find_target(ProcessSelector(), socket_url(str(sock)))
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(sock))
    with pytest.raises(TargetNotFound, match="no process that you may look into") as refused:
        find_target(ProcessSelector(), socket_url(str(sock)))
    assert "ss -lxp" in refused.value.hint


def test_a_full_accept_queue_of_a_unix_socket_is_told_as_that(sock: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sock))
        listener.listen(1)
        trial = asked(socket_url(str(sock)), tmp_path, "any")
    assert trial.outcomes["connect"] >= 15
    assert any("accept queue of the unix socket is full" in note for note in trial.generator.notes)


def test_the_accept_queue_of_a_unix_socket_is_seen(sock: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as clients:
        listener.bind(str(sock))
        listener.listen(5)
        target = find_target(ProcessSelector(pid=os.getpid()), socket_url(str(sock)))
        if target.listeners[0].backlog is None:
            pytest.skip("the kernel refuses netlink here")
        for _ in range(3):
            clients.enter_context(socket.socket(socket.AF_UNIX)).connect(str(sock))
        monitor = ResourceMonitor(target)
        clients.callback(monitor.close)
        monitor.start()
        assert until(lambda: monitor.take().accept_queue == 3, 10.0)
        assert monitor.take().accept_backlog == 5


def test_a_service_on_ipv6_alone_is_found_and_loaded(on_ipv6: str, tmp_path: Path) -> None:
    target, url = locate(ProcessSelector(), on_ipv6)
    assert url == on_ipv6
    assert locate(ProcessSelector(pid=target.root))[1] == on_ipv6
    assert local_url(target) == on_ipv6
    host = on_ipv6.removeprefix("http://")
    assert asked(on_ipv6, tmp_path, f"\r\nHost: {host}\r\n").outcomes == {"ok": 20}


def cli(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfhunt", *words], cwd=directory, capture_output=True, text=True
    )


def verbs_find(url: str, directory: Path) -> None:
    pid = find_target(ProcessSelector(), url).root
    made = cli(directory, "init", "--pid", str(pid))
    assert made.returncode == 0, made.stderr
    file = directory / "perfhunt.toml"
    assert tomllib.loads(file.read_text())["target"]["url"] == url
    file.write_text(f'schema = 1\n[target]\nurl = "{url}"\n[slo]\nlatency = {{ p99 = "<= 1s" }}\n')
    looked = cli(directory, "doctor", "--watch", "0")
    assert "ok    target answers" in looked.stdout, looked.stdout
    assert cli(directory, "profile", "--pid", str(pid), "--seconds", "4").returncode == 0


def test_verbs_find_a_service_on_a_unix_socket(on_unix: str, tmp_path: Path) -> None:
    verbs_find(on_unix, tmp_path)


@pytest.mark.parametrize("on_ipv6", ["::1"], indirect=True)
def test_verbs_find_a_service_on_ipv6(on_ipv6: str, tmp_path: Path) -> None:
    verbs_find(on_ipv6, tmp_path)


def test_a_launched_service_is_found_where_no_127_0_0_1_leads(sock: Path) -> None:
    on_ipv6 = (sys.executable, "-m", "http.server", "--bind", "::1", "{port}")
    with launched(on_ipv6, "", loaded=False) as service:
        (at,) = service.target.listeners
        assert service.url == f"http://[::1]:{at.port}"
    with launched(python("mirror.py", str(sock)), "", loaded=False) as service:
        assert service.url == socket_url(str(sock))


def test_a_service_of_both_kinds_of_addresses_is_loaded_by_ipv4() -> None:
    try:
        server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError) as error:
        pytest.skip(f"this host has no socket for both: {error}")
    with server:
        port = server.getsockname()[1]
        target = find_target(ProcessSelector(pid=os.getpid()), f"http://127.0.0.1:{port}")
        assert local_url(target, port) == f"http://127.0.0.1:{port}"


PROXIES = ("HTTP_PROXY", "http_proxy", "https_proxy", "ALL_PROXY")
CLIENTS = {
    "HttpUser": 'self.client.get("/")',
    "FastHttpUser": 'self.client.get("/")',
    "urllib": 'urllib.request.urlopen(self.host + "/").read()',
}


@pytest.mark.parametrize("client", ["the fast client", *CLIENTS])
def test_no_load_goes_to_a_proxy_that_the_environment_names(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, target = Receiver(), Receiver()
    for name in (n for n in os.environ if n.lower().endswith("_proxy")):
        monkeypatch.delenv(name)
    for name in PROXIES:
        monkeypatch.setenv(name, proxy.url)
    locustfile = tmp_path / "locustfile.py"
    kind = client if client.endswith("User") else "HttpUser"
    locustfile.write_text(
        f"import urllib.request\nfrom locust import task, {kind}\n"
        f"class U({kind}):\n    @task\n    def t(self): {CLIENTS.get(client)}\n"
    )
    path = str(locustfile) if client in CLIENTS else None
    try:
        with engine(target.url, tmp_path / "load", locustfile=path) as made:
            trial = made.run(step(40, 0.5, arrivals="uniform"))
            remarks = made.remarks
    finally:
        proxy.close()
        target.close()
    assert not proxy.arrivals
    assert len(target.arrivals) >= 20
    assert trial.generator.refused == {}
    said = "ALL_PROXY, HTTP_PROXY, http_proxy, https_proxy is not used"
    assert any(remark.startswith(said) for remark in remarks) == (client in CLIENTS)


@pytest.mark.beside
def test_an_abstract_socket_is_named_and_not_taken_for_nothing() -> None:
    with socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind("\0perfhunt's own")
        hidden.listen()
        with pytest.raises(TargetNotFound, match="abstract unix socket @perfhunt's own") as refused:
            find_target(ProcessSelector(pid=os.getpid()))
    assert "unix:/PATH" in refused.value.hint


@pytest.mark.beside
@pytest.mark.parametrize("host", ["[::]", "0.0.0.0"])
def test_every_address_is_no_other_host(host: str) -> None:
    with pytest.raises(TargetNotFound, match="is every address of a host"):
        find_target(ProcessSelector(), f"http://{host}:8000")


def test_a_port_at_a_link_local_address_alone_is_no_place_for_load() -> None:
    at = Listener(host="fe80::1", port=8000, pids=(os.getpid(),), backlog=None)
    alone = replace(find_listening(), listeners=(at,))
    with pytest.raises(TargetNotFound, match="link-local address fe80::1 alone"):
        local_url(alone)
    loopback = replace(at, host="::1")
    assert local_url(replace(alone, listeners=(at, loopback))) == "http://[::1]:8000"


def find_listening() -> TargetProcess:
    with socket.create_server(("127.0.0.1", 0)):
        return find_target(ProcessSelector(pid=os.getpid()))
