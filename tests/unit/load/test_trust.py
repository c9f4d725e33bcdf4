"""What master and workers believe: an address, a secret that others do not have, and a grant."""

from __future__ import annotations

import math
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.errors import LoadFailed, UsageError
from perfhunt.load.trust.address import MasterAddress, master_address
from perfhunt.load.trust.grant import (
    WorkerGrant,
    besides,
    cleared,
    has_users,
    narrowed,
    refuse_late,
    refuse_rate,
    refuse_step,
    refuse_users,
)
from perfhunt.load.trust.secret import (
    AS_MASTER,
    AS_WORKER,
    find_secret,
    kept_at,
    proof,
    read_secret,
)
from perfhunt.model.question import LoopKind, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import BodyFile, BodyPart, Feed
from perfhunt.model.trial import Phase, Step
from perfhunt.target.leash import SECRET_VARIABLE

GOOD = "0123456789abcdef" * 2
STEP = Step(Phase.RAMP, 100.0, 10.0, seed=1)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.1:5557", "10.0.0.1", 5557),
        ("[fe80::1]:80", "fe80::1", 80),
        ("load-1.test:65535", "load-1.test", 65535),
        ("5557", "127.0.0.1", 5557),
        (":5557", "127.0.0.1", 5557),  # everyone's interfaces only for who says so
    ],
)
def test_an_address_is_read_and_a_port_alone_is_one_of_loopback(
    text: str, host: str, port: int
) -> None:
    assert master_address(text) == MasterAddress(host, port)


@pytest.mark.parametrize("text", ["", "host", "host:", "host:0", "h:65536", "a b:1", "h:1:2"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        master_address(text)


def test_only_loopback_is_this_machine() -> None:
    here = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "1"]
    there = ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "localhost.example:1"]
    assert all(master_address(text).on_this_machine for text in here)
    assert not any(master_address(text).on_this_machine for text in there)


def test_the_secret_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    made = find_secret(None, env, make=True)
    kept = kept_at(env)
    assert kept.is_relative_to(tmp_path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert find_secret(None, env, make=True) == find_secret(None, env, make=False) == made
    assert len(made) == 64
    other = {"XDG_CONFIG_HOME": str(tmp_path / "other")}
    assert find_secret(None, other, make=True) != made


def test_a_secret_that_is_not_there_is_made_only_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read") as error:
        find_secret(None, {"HOME": str(tmp_path)}, make=False)
    assert "--secret" in error.value.hint
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="cannot be read"):
        find_secret(tmp_path / "none", {}, make=True)


def test_a_file_goes_before_the_environment_and_that_before_what_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(f"{GOOD}file\n")
    file.chmod(0o400)
    env = {"HOME": str(tmp_path), SECRET_VARIABLE: f"{GOOD}variable"}
    assert find_secret(file, env, make=True) == f"{GOOD}file"
    assert find_secret(None, env, make=True) == f"{GOOD}variable"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_another_user_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("0123456789abcdef" * 2)
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    with pytest.raises(UsageError, match="belongs to another user"):
        read_secret(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_secret_that_others_may_read_or_change_is_not_used(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(GOOD)
    file.chmod(mode)
    with pytest.raises(UsageError, match="others") as error:
        read_secret(file)
    assert "chmod 600" in error.value.hint
    assert GOOD not in str(error.value)


@pytest.mark.parametrize("text", ["", "\n", "hunter2", "x" * 31, f"\n  {'y' * 31}  \n"])
def test_a_secret_that_could_be_guessed_is_refused_and_not_repeated(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UsageError, match="shorter") as error:
        read_secret(file)
    assert "hunter2" not in str(error.value)
    with pytest.raises(UsageError, match="shorter"):
        find_secret(None, {SECRET_VARIABLE: text}, make=True)


def test_what_is_no_plain_short_file_is_no_secret_and_nothing_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "long").write_text("x" * 5000)
    (tmp_path / "long").chmod(0o600)
    for name in ("fifo", "long", "."):
        with pytest.raises(UsageError):
            read_secret(tmp_path / name)


def test_a_proof_holds_for_one_secret_one_side_and_one_conversation() -> None:
    proofs = {
        proof(secret, side, conversation)
        for secret in (GOOD, f"{GOOD}x")
        for side in (AS_MASTER, AS_WORKER)
        for conversation in (b"a" * 76, b"b" * 76)
    }
    assert len(proofs) == 8
    assert all(len(each) == 32 for each in proofs)


def grants(grant: WorkerGrant, url: str, *resolved: str) -> tuple[str, ...]:
    return cleared(grant, url, (), lambda host: resolved)


def test_a_worker_that_was_granted_nothing_sends_nothing_anywhere() -> None:
    for address in ("127.0.0.1", "::1", "10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"):
        with pytest.raises(LoadFailed, match="may not send load") as error:
            grants(WorkerGrant(), "http://shop.test", address)
        assert "--allow-host shop.test" in error.value.hint


def test_load_goes_to_the_hosts_that_were_allowed() -> None:
    named = WorkerGrant(hosts=("shop.test", "*.lab.test", "10.0.0.7"))
    assert grants(named, "http://shop.test:80", "10.0.0.1") == ("10.0.0.1",)
    assert grants(named, "https://SHOP.test./", "10.0.0.1") == ("10.0.0.1",)
    assert grants(named, "http://a.lab.test", "10.0.0.2") == ("10.0.0.2",)
    assert grants(named, "http://other.test", "10.0.0.7", "10.0.0.8") == ("10.0.0.7",)
    for url in ("http://shop.test.evil.test", "http://lab.test", "http://xlab.test", "http://"):
        with pytest.raises(LoadFailed):
            grants(named, url, "10.0.0.9")
    with pytest.raises(LoadFailed):  # what stands before the @ is no host
        grants(named, "http://shop.test@evil.test", "10.0.0.9")


def test_a_name_that_was_allowed_opens_neither_loopback_nor_the_cloud_s_metadata() -> None:
    named = WorkerGrant(hosts=("shop.test",))
    inner = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0", "::")
    for address in inner:
        with pytest.raises(LoadFailed):
            grants(named, "http://shop.test", address)
    assert grants(named, "http://shop.test", "127.0.0.1", "10.0.0.1") == ("10.0.0.1",)
    local = replace(named, this_machine=True)
    assert grants(local, "http://shop.test", "127.0.0.1") == ("127.0.0.1",)
    assert grants(WorkerGrant(hosts=("localhost",)), "http://localhost", "::1") == ("::1",)
    written = WorkerGrant(hosts=("169.254.169.254",))
    assert grants(written, "http://x.test", "169.254.169.254") == ("169.254.169.254",)


def test_a_master_may_ask_for_fewer_addresses_but_not_for_others() -> None:
    named = WorkerGrant(hosts=("shop.test",))

    def resolve(host: str) -> tuple[str, ...]:
        return ("10.0.0.1", "10.0.0.2")

    assert cleared(named, "http://shop.test", ("10.0.0.2",), resolve) == ("10.0.0.2",)
    with pytest.raises(LoadFailed, match="other addresses"):
        cleared(named, "http://shop.test", ("10.9.9.9",), resolve)


def test_no_worker_of_another_host_is_asked_for_a_unix_socket() -> None:
    with pytest.raises(LoadFailed, match="unix socket"):
        cleared(WorkerGrant(this_machine=True), "http+unix://%2Frun%2Fapp.sock")


def asking(*, feed: str | None = None, locustfile: str | None = None, body: str = "") -> Question:
    rows = Feed(feed, ("a",), "") if feed else None
    parts = (BodyPart("f", file=BodyFile(body, "")),) if body else ()
    request = RequestTemplate("x", "GET", "/", feed=rows, parts=parts)
    return Question(Target("http://shop.test"), (request,), Slo(()), locustfile=locustfile)


def test_no_file_is_read_or_run_that_was_not_allowed(tmp_path: Path) -> None:
    allowed, secret = tmp_path / "feeds", tmp_path / "secret.csv"
    allowed.mkdir()
    for feed in (allowed / "a.csv", secret, tmp_path / "feeds.csv"):
        feed.write_text("a\n1\n")
    (allowed / "link.csv").symlink_to(secret)
    grant = WorkerGrant(files=(str(allowed), str(tmp_path / "locustfile.py")))
    inside = narrowed(grant, asking(feed=str(allowed / "a.csv")))
    assert inside.traffic[0].feed is not None
    assert inside.traffic[0].feed.path == str((allowed / "a.csv").resolve())
    file = str(tmp_path / "locustfile.py")
    assert narrowed(grant, asking(locustfile=file)).locustfile == str(Path(file).resolve())
    outside = [
        str(secret),
        str(allowed / "link.csv"),  # it lies in the folder, what it points to does not
        str(allowed / ".." / "secret.csv"),
        f"{allowed}.csv",
        "/etc/passwd",
    ]
    for path in outside:
        with pytest.raises(LoadFailed, match="may not read"):
            narrowed(grant, asking(feed=path))
        with pytest.raises(LoadFailed, match="may not read"):
            narrowed(grant, asking(locustfile=path))
        with pytest.raises(LoadFailed, match="may not read"):
            narrowed(grant, asking(body=path))
    body = narrowed(grant, asking(body=str(allowed / "a.csv"))).traffic[0].parts[0].file
    assert body is not None
    assert body.path == str((allowed / "a.csv").resolve())
    with pytest.raises(LoadFailed):  # nor with no grant at all
        narrowed(WorkerGrant(), asking(locustfile=file))


def test_a_rate_above_the_worker_s_own_is_refused() -> None:
    grant = WorkerGrant(max_rate=100.0)
    refuse_rate(grant, 100.0)
    for rate in (100.1, math.inf, math.nan):
        with pytest.raises(LoadFailed, match="100/s"):
            refuse_rate(grant, rate)


@pytest.mark.parametrize(
    ("step", "part", "of", "epoch"),
    [
        (STEP, 0, 0, 1.0),
        (STEP, 2, 2, 1.0),
        (STEP, -1, 2, 1.0),
        (STEP, 0, 10**9, 1.0),
        (STEP, 0, 1, math.nan),
        (replace(STEP, duration=math.inf), 0, 1, 1.0),
        (replace(STEP, duration=-1.0), 0, 1, 1.0),
        (replace(STEP, rate=math.nan), 0, 1, 1.0),
        (replace(STEP, rate=0.0, duration=1e9), 0, 1, 1.0),
        (replace(STEP, rate=1e9), 0, 1, 1.0),  # arrivals that would not fit into memory
    ],
)
def test_a_share_that_no_master_asks_for_is_refused(
    step: Step, part: int, of: int, epoch: float
) -> None:
    refuse_step(STEP, 1, 2, math.inf, 1.0)
    with pytest.raises(LoadFailed, match="no share"):
        refuse_step(step, part, of, 1.0, epoch)


def test_a_locustfile_connects_besides_the_target_only_to_hosts_that_were_allowed_here() -> None:
    addresses = {
        "db.internal": ("10.0.0.5",),
        "10.0.0.7": ("10.0.0.7",),
        "127.0.0.1": ("127.0.0.1",),
    }
    asked = ("db.internal:5432", "10.0.0.7:6379", "127.0.0.1:22", "other:80", "unix:/run/db.sock")

    def resolve(host: str) -> tuple[str, ...]:
        return addresses[host]  # a name that was not allowed is not even resolved

    assert besides(WorkerGrant(), asked, resolve) == ()
    grant = WorkerGrant(hosts=("db.internal", "10.0.0.7"))
    assert besides(grant, asked, resolve) == (
        "db.internal:5432",
        "10.0.0.5:5432",
        "10.0.0.7:6379",
    )


def test_a_step_whose_arrivals_were_due_long_ago_is_refused() -> None:
    refuse_late(epoch=99.5, now=100.0)
    with pytest.raises(LoadFailed, match=r"1\.5 s after its first arrival"):
        refuse_late(epoch=98.5, now=100.0)


def test_a_closed_loop_is_one_of_users_and_a_worker_takes_on_only_so_many() -> None:
    asked = replace(asking(locustfile="users.py"), ramp=Ramp(loop=LoopKind.CLOSED))
    assert has_users(asked)
    assert not has_users(asking(locustfile="users.py"))
    assert not has_users(replace(asked, locustfile=None))  # there is no loop without users
    refuse_users(10_000)
    for users in (10_001, math.nan, math.inf):
        with pytest.raises(LoadFailed, match="10000 users at most") as error:
            refuse_users(users)
        assert "more workers" in error.value.hint
