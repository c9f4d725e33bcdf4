"""Programs of others read what is written, and what they record is read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from perfhunt.jobs.profiles.read import read_profile
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.profiles.readers.foreign import profile_of
from perfhunt.model.profiles.writers.pprof import pprof_bytes

HOT: Stack = (Frame("main", "a.go", 3, FrameKind.GO), Frame("hot", "a.go", 9, FrameKind.GO))
SPIN = """
public class Spin {
  static long hot() { long t = 0; for (int i = 0; i < 100000; i++) t += (i * 31L) % 7; return t; }
  public static void main(String[] a) {
    long end = System.nanoTime() + 2_000_000_000L, x = 0;
    while (System.nanoTime() < end) x += hot();
    System.out.println(x);
  }
}
"""


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not on PATH")
def test_go_tool_pprof_reads_what_is_written(tmp_path: Path) -> None:
    cold: Stack = (HOT[0], Frame("cold", "b.go", 4, FrameKind.GO))
    profile = profile_of("x", {HOT: 0.75, cold: 0.25}, unit="seconds", seconds=2.0)
    (tmp_path / "p.pb.gz").write_bytes(pprof_bytes(profile))
    top = subprocess.run(
        ["go", "tool", "pprof", "-top", "-lines", "p.pb.gz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Duration: 2s, Total samples = 1000ms" in top
    rows = {
        line.split(None, 5)[5]: line.split()
        for line in top.splitlines()
        if "%" in line and ".go" in line
    }
    assert rows["hot a.go:9"][:2] == ["750ms", "75.00%"]
    assert rows["main a.go:3"][3:5] == ["1000ms", "100%"]


@pytest.mark.skipif(not (shutil.which("java") and shutil.which("jfr")), reason="no JDK is on PATH")
def test_a_flight_recording_is_read(tmp_path: Path) -> None:
    (tmp_path / "Spin.java").write_text(SPIN)
    option = "-XX:StartFlightRecording=filename=spin.jfr,settings=profile"
    subprocess.run(["java", option, "Spin.java"], cwd=tmp_path, capture_output=True, check=True)
    read = read_profile(str(tmp_path / "spin.jfr"), tmp_path)
    assert read.form is not None and read.form.name == "jfr"
    hot = sum(
        weight
        for stack, weight in read.profile.stacks.items()
        if any(frame.function == "Spin.hot" for frame in stack)
    )
    assert hot > 0.3 * read.profile.total > 0
