"""Where the file that init writes sends load, where it is written, and what comes then."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.cli import app as cli
from perfhunt.errors import UsageError
from perfhunt.jobs import init
from perfhunt.jobs.init import InitRequest, RecordedAs, run_init
from perfhunt.model.run import Listener, Process, TargetProcess
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.thresholds import BLANK
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.store.init_file import init_text
from perfhunt.target.address import local_url
from tests.unit.model.recordings import entry, har

PROCESS = Process(41, 1, 100.0, "/usr/bin/shop", ("shop",), "/srv", 0, 1)
TARGET = TargetProcess(
    root=41,
    processes=(PROCESS,),
    listeners=(Listener("127.0.0.1", 8123, (41,), 1),),
    workers=(41,),
    runtime="native",
    runtime_version="",
)
AROUND = Surroundings({}, lambda name: b"")


@pytest.mark.parametrize(
    ("hosts", "url", "allowed"),
    [
        (("0.0.0.0",), "http://127.0.0.1:8123", "127.0.0.1"),
        (("::",), "http://127.0.0.1:8123", "127.0.0.1"),
        (("::1", "127.0.0.1"), "http://127.0.0.1:8123", "127.0.0.1"),
        (("::1",), "http://[::1]:8123", "::1"),
        (("127.0.0.2",), "http://127.0.0.2:8123", "127.0.0.2"),
        (("192.0.2.7",), "http://192.0.2.7:8123", "192.0.2.7"),
    ],
)
def test_load_goes_where_the_service_listens(
    hosts: tuple[str, ...], url: str, allowed: str
) -> None:
    listeners = tuple(Listener(host, 8123, (41,), 1) for host in hosts)
    target = replace(TARGET, listeners=listeners)
    text = init_text(target, at=local_url(target)).replace(BLANK, "40")
    question = parse_question(text, "perfhunt.toml", AROUND)
    assert question.target.url == url
    assert question.safety.allow_hosts == (allowed,)


def test_the_next_command_reads_the_file_that_was_written() -> None:
    assert "perfhunt investigate --pid 41\n" in init_text(TARGET)
    text = init_text(TARGET, file="loads/my shop.toml")
    assert "perfhunt investigate -f 'loads/my shop.toml' --pid 41\n" in text


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this process, on IPv6's loopback alone."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 in this Python")
    listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        listening.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no ::1 here: {error}")
    listening.listen()
    yield listening.getsockname()[1]
    listening.close()


def test_of_several_places_the_services_own_is_written(port: int, tmp_path: Path) -> None:
    source, output = tmp_path / "shop.har", tmp_path / "shop.toml"
    urls = ["https://cdn.test/x"] * 3 + [f"http://localhost:{port}/a"]
    source.write_text(har(*(entry("GET", url) for url in urls)))
    done = run_init(
        InitRequest(
            pid=os.getpid(), port=None, output=output, recorded={RecordedAs.HAR: str(source)}
        )
    )
    text = output.read_text()
    assert f'url = "http://[::1]:{port}"' in text
    assert 'request = "GET /a"' in text and "GET /x" not in text
    assert done.then == f"perfhunt investigate -f {output} --pid {done.target and done.target.root}"


def test_a_log_may_be_gzip_and_an_archive_utf_16(tmp_path: Path) -> None:
    log, archive = tmp_path / "a.log.gz", tmp_path / "a.har"
    log.write_bytes(gzip.compress(b'"GET /a HTTP/1.1"\n'))
    archive.write_bytes(har(entry("GET", "http://h/a")).encode("utf-16"))
    for kind, source in ((RecordedAs.LOG, log), (RecordedAs.HAR, archive)):
        output = tmp_path / f"{kind}.toml"
        run_init(InitRequest(output=output, recorded={kind: str(source)}))
        assert 'request = "GET /a"' in output.read_text()
    log.write_bytes(log.read_bytes()[:-4])
    with pytest.raises(UsageError, match="does not unzip"):
        run_init(InitRequest(output=tmp_path / "b.toml", recorded={RecordedAs.LOG: str(log)}))


@pytest.mark.parametrize(
    ("output", "recorded", "message"),
    [
        (".", {RecordedAs.CURL: "curl http://a/"}, "--output .* is a directory"),
        ("gone/x.toml", {RecordedAs.CURL: "curl http://a/"}, "gone does not exist"),
        ("x.toml", {RecordedAs.CURL: ""}, "--from-curl: there is no curl command"),
        ("x.toml", {RecordedAs.HAR: "."}, "--from-har: '.' is a directory"),
        ("x.toml", {RecordedAs.HAR: "gone.har"}, r"gone\.har cannot be read"),
    ],
)
def test_what_cannot_be_read_or_written_is_told(
    output: str, recorded: Mapping[RecordedAs, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        run_init(InitRequest(output=tmp_path / output, recorded=recorded))
    assert caught.value.hint
    assert not [*tmp_path.iterdir()]


def test_of_a_log_that_is_larger_than_is_read_the_beginning_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b'"GET /a HTTP/1.1"\n' * 10)
    monkeypatch.setattr(init, "_OF_LOG", 20)
    done = run_init(InitRequest(output=tmp_path / "a.toml", recorded={RecordedAs.LOG: str(log)}))
    assert done.traffic is not None and "weight = 1\n" in done.traffic.toml
    assert any("the first 0 MiB were looked at" in note for note in done.traffic.notes)


@pytest.mark.parametrize("option", ["--from-curl", "--from-har"])
def test_an_option_that_is_given_empty_is_not_taken_for_one_that_is_not_given(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["perfhunt", "init", option, ""])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 2
    assert f"perfhunt: {option}: " in capsys.readouterr().err
