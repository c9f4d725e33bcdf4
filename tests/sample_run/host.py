"""Where the sample run took place: the machine, and the shop's processes on it."""

from __future__ import annotations

from perfhunt.model.run import Environment, Listener, Process, TargetProcess

COMMAND = ("gunicorn", "-w", "1", "--threads", "4", "-b", "127.0.0.1:8000", "shop.app:app")
ARBITER, WORKER = 4242, 4243


def _process(pid: int, parent: int, started: float, threads: int) -> Process:
    return Process(
        pid=pid,
        parent=parent,
        started=started,
        exe="/usr/bin/python3.11",
        cmdline=COMMAND,
        cwd="/srv/shop",
        uid=1000,
        threads=threads,
        runtime="cpython",
        runtime_version="3.11.9",
    )


def target() -> TargetProcess:
    """An arbiter and its one worker, which may use two cores."""
    return TargetProcess(
        root=ARBITER,
        processes=(_process(ARBITER, 1, 8123.4, 1), _process(WORKER, ARBITER, 8124.0, 5)),
        listeners=(Listener("127.0.0.1", 8000, (ARBITER, WORKER), 2048),),
        workers=(WORKER,),
        runtime="cpython",
        runtime_version="3.11.9",
        framework="gunicorn gthread",
        cpu_limit=2.0,
        cpu_limit_source="affinity",
    )


def environment() -> Environment:
    """A small virtual machine, and a working tree with edits in it."""
    return Environment(
        host="bench-1",
        kernel="6.8.0",
        cpu_model="AMD EPYC 7B13",
        cores=2,
        memory=8_589_934_592,
        virtualised="kvm",
        load_average=0.4,
        perfhunt="0.1.0",
        python="3.11.9",
        tools={"py-spy": "0.4.1", "locust": "2.43.1"},
        pinning="generator on core 1, target on core 0",
        git_revision="3f9c1d2ab44e",
        git_dirty=True,
        git_diff_sha256="cd" * 32,
        distributions={"gunicorn": "23.0.0"},
        env_sha256="ef" * 32,
        variables={"PORT": "9f31"},
    )
