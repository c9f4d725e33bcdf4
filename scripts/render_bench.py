"""A million samples folded and drawn, by perfhunt and by the tools that do only that."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = {
    "flamegraph.pl": "in no package registry: github.com/brendangregg/FlameGraph",
    "inferno-flamegraph": "cargo install inferno",
}
BUILT = Path.home() / ".cache" / "perfhunt-bench" / "bin"
DIFFERENT = 50_000  # stacks: ten minutes of a large service hold as many
FUNCTIONS = 1200
SHALLOWEST, DEEPEST = 8, 30  # frames


@dataclass(frozen=True)
class Cost:
    """What one drawing took: wall and CPU seconds, the most memory it held in MiB."""

    seconds: float
    cpu: float
    peak: float


def rendered(samples: int, repeats: int) -> dict[str, object]:
    """A line for each tool, printed, and what the last line of the bench says of them."""
    with tempfile.TemporaryDirectory() as place:
        profile = Path(place, "profile.folded")
        with profile.open("w") as file:
            file.writelines(lines(samples))
        costs = measured(tools(), profile, repeats)
    medians = {name: middle(each) for name, each in costs.items()}
    ours = medians["perfhunt"]
    for name, cost in medians.items():
        print(
            f"{name:<20} {cost.seconds:6.1f} s  {cost.cpu:6.1f} s of CPU  {cost.peak:6.0f} MiB"
            f"  {cost.cpu / ours.cpu:5.2f} times perfhunt's CPU"
        )
    peers = {name: round(c.seconds, 2) for name, c in medians.items() if name != "perfhunt"}
    return {
        "stacks": samples,
        "seconds": round(ours.seconds, 2),
        "cpu_seconds": round(ours.cpu, 2),
        "peak_mib": round(ours.peak),
        "peers": peers,
        "peers_cpu_seconds": {name: round(medians[name].cpu, 2) for name in peers},
    }


def lines(samples: int) -> Iterator[str]:
    """Samples as a profiler writes them: some stacks often, most seldom, callers with few callees
    that are called most.
    """
    chance = random.Random(1)
    frames = [
        f"function_{i} (/srv/app/package{i % 40}/module{i % 7}.py:{i})" for i in range(FUNCTIONS)
    ]

    def stack() -> str:
        at, path = 0, []
        for _ in range(chance.randrange(SHALLOWEST, DEEPEST)):
            at = (at * 31 + chance.choice((1, 1, 1, 2, 2, 3, 5, 7))) % len(frames)
            path.append(frames[at])
        return ";".join(path)

    stacks = [stack() for _ in range(DIFFERENT)]
    weights = [(i + 1) ** -0.6 for i in range(DIFFERENT)]
    return (f"{each} 1\n" for each in chance.choices(stacks, weights, k=samples))


def tools() -> dict[str, list[str]]:
    """The command of each tool that is here; it is given the profile and prints the picture."""
    found = {"perfhunt": [sys.executable, "-m", "perfhunt", "flamegraph"]}
    for name, how in PEERS.items():
        path = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}{BUILT}")
        if path is None:
            print(f"{name}: not on PATH, left out ({how})")
        else:
            found[name] = [path]
    return found


def measured(
    commands: Mapping[str, Sequence[str]], profile: Path, repeats: int
) -> dict[str, list[Cost]]:
    """What each took, each time, all in turn: what else the machine does then hits all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            costs[name].append(drawn([*command, str(profile)], profile.with_suffix(".svg")))
    return costs


def drawn(command: list[str], picture: Path) -> Cost:
    """One drawing, in a process of its own. Raises ChildProcessError when it fails."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    out = (os.POSIX_SPAWN_OPEN, 1, str(picture), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    child = os.posix_spawn(command[0], command, environment, file_actions=[out])
    _, status, used = os.wait4(child, 0)
    seconds = time.monotonic() - began
    if status != 0 or not picture.read_bytes().rstrip().endswith(b"</svg>"):
        raise ChildProcessError(f"{command[0]} drew nothing (status {status})")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def middle(costs: Sequence[Cost]) -> Cost:
    """The medians."""
    return Cost(
        *(
            statistics.median(getattr(cost, field) for cost in costs)
            for field in ("seconds", "cpu", "peak")
        )
    )
