"""What the profilers of the sample run would have brought home: stacks, and the states of threads.
All numbers are made by hand.
"""

from __future__ import annotations

from perfhunt.model.profile import Frame, FrameKind, Profile, ProfileMode, Stack
from perfhunt.model.states import Peer, PeerProcess, States, ThreadTime

LINES = {
    "wsgi_app": ("shop/app.py", 31),
    "list_items": ("shop/views.py", 44),
    "checkout": ("shop/views.py", 90),
    "price_of": ("shop/pricing.py", 17),
    "discount": ("shop/pricing.py", 52),
    "load_rules": ("shop/pricing.py", 71),
    "render": ("/usr/lib/python3.11/site-packages/jinja2/environment.py", 1291),
    "dumps": ("/usr/lib/python3.11/json/__init__.py", 183),
    "iterencode": ("/usr/lib/python3.11/json/encoder.py", 257),
    "execute": ("/usr/lib/python3.11/site-packages/db/cursor.py", 88),
    "handle": ("/usr/lib/python3.11/site-packages/gunicorn/workers/gthread.py", 270),
    "run": ("/usr/lib/python3.11/threading.py", 982),
}
NATIVE = {"sqlite3_step": "libsqlite3.so.0", "memcpy": "libc.so.6"}


def _app(*names: str) -> Stack:
    return tuple(
        Frame(n, NATIVE[n], None, FrameKind.NATIVE) if n in NATIVE else Frame(n, *LINES[n])
        for n in names
    )


def stacks(pricing: float) -> dict[Stack, float]:
    """Samples of the shop; `pricing` scales the planted culprit."""
    base = ("run", "handle", "wsgi_app")
    return {
        _app(*base, "list_items", "price_of", "discount", "load_rules"): round(610 * pricing),
        _app(*base, "list_items", "price_of", "discount"): round(122 * pricing),
        _app(*base, "list_items", "price_of", "execute", "sqlite3_step"): 204.0,
        _app(*base, "list_items", "render"): 187.0,
        _app(*base, "list_items", "render", "memcpy"): 23.0,
        _app(*base, "checkout", "price_of", "discount", "load_rules"): round(171 * pricing),
        _app(*base, "checkout", "execute", "sqlite3_step"): 96.0,
        _app(*base, "checkout", "dumps", "iterencode"): 64.0,
        _app(*base, "list_items", "dumps", "iterencode"): 88.0,
        _app("run", "handle"): 41.0,
    }


def profile(pricing: float, seconds: float) -> Profile:
    """What py-spy would bring home."""
    return Profile(
        tool="py-spy",
        version="0.4.1",
        mode=ProfileMode.GIL,
        rate_hz=100.0,
        seconds=seconds,
        stacks=stacks(pricing),
        pids=(4243,),
        ticks=round(seconds * 100),
        errors=2,
        late=1,
        started=310.0,
        raw="py-spy-knee.raw",
        command=("py-spy", "record", "--nonblocking", "--gil", "--pid", "4243"),
    )


def _states(phase: str, on_cpu: float, gil: float, lock: float, socket: float) -> States:
    spent = {
        "on_cpu": on_cpu,
        "run_queue": 0.03,
        "gil": gil,
        "lock": lock,
        "socket": socket,
        "sleep": 0.0,
    }
    spent["poll"] = round(1 - sum(spent.values()), 4)
    workers = tuple(
        ThreadTime(4243, 4250 + i, f"worker-{i}", spent, {"127.0.0.1:5432": socket})
        for i in range(4)
    )
    arbiter = ThreadTime(4242, 4242, "gunicorn", {"sleep": 0.99, "on_cpu": 0.01})
    return States(phase, 25.0, (*workers, arbiter), 1250, "syscall", 0.028)


def states() -> dict[str, States]:
    """Hardly any waiting at the baseline, the lock at the knee."""
    return {
        "baseline": _states("baseline", on_cpu=0.02, gil=0.004, lock=0.005, socket=0.01),
        "knee": _states("knee", on_cpu=0.21, gil=0.09, lock=0.41, socket=0.08),
    }


def peers() -> tuple[Peer, ...]:
    """A database on the same host, and a service of which only the address is known."""
    return (
        Peer(
            name="postgres",
            addresses=("127.0.0.1:5432",),
            connections=8.0,
            pids=(900,),
            cores=0.12,
            queued=0.01,
            allowed=4.0,
            busiest=0.02,
            threads=14,
            states={"on_cpu": 0.12, "run_queue": 0.01, "poll": 13.87},
            doing={"SELECT": 0.4, "idle": 7.6},
            processes=(
                PeerProcess(910, ports=(41000,), cores=0.07, doing="idle"),
                PeerProcess(911, ports=(41002,), cores=0.05, doing="idle"),
            ),
        ),
        Peer(
            name="10.0.0.7:8080",
            addresses=("10.0.0.7:8080",),
            connections=2.0,
            note="10.0.0.7:8080 is on another host: of it only what the target waits is known",
        ),
    )
