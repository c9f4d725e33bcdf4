"""`perfhunt convert` and `perfhunt flamegraph`: any profile in, losses said, a picture out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from perfhunt.cli.app import app
from perfhunt.errors import PerfhuntError, Unreadable, UsageError
from perfhunt.model.document.folded import fold
from perfhunt.model.profile import Frame, FrameKind
from tests.sample_run import keep, sample_run

GOLDEN = Path(__file__).parents[2] / "golden" / "foreign"
SVG = "{http://www.w3.org/2000/svg}"


def run(*words: str | Path, given: bytes = b"") -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], input=given)
    if isinstance(result.exception, PerfhuntError):
        raise result.exception
    return result


def boxes(svg: str) -> dict[tuple[str, int], float]:
    """Widths of the frames of a picture, by name and depth."""
    return {
        (g.attrib["data-n"], int(g.attrib["data-d"])): float(g.attrib["data-w"])
        for g in ET.fromstring(svg).iter(f"{SVG}g")
    }


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    keep(tmp_path / "store", sample_run())
    return tmp_path / "store"


def test_suffixes_say_what_is_written_and_losses_go_to_stderr(tmp_path: Path) -> None:
    result = run("convert", GOLDEN / "viztracer.json", tmp_path / "a.speedscope.json")
    assert result.stderr.splitlines()[0] == "not kept in speedscope: order in time"
    again = run("convert", tmp_path / "a.speedscope.json", tmp_path / "a.folded")
    assert "not kept in folded: unit" in again.stderr
    assert (tmp_path / "a.folded").read_text().startswith("builtins.exec;<module> (")


def test_standard_input_and_output_are_profiles_too() -> None:
    result = run("convert", "-", "--to", "speedscope", given=b"a;b 2\na 1\n")
    plain = json.loads(result.stdout)
    assert plain["profiles"][0]["weights"] == [2, 1]
    zipped = run("convert", "-", "-", "--to", "folded", given=gzip.compress(b"a;b 2\n"))
    assert zipped.stdout == "a;b 2\n"


def test_a_blank_line_first_makes_no_pprof_of_folded_lines() -> None:
    assert run("convert", "-", "--to", "folded", given=b"\na;b 2\n").stdout == "a;b 2\n"


def test_pprof_on_standard_output_is_bytes(tmp_path: Path) -> None:
    result = run("convert", GOLDEN / "go-heap.pb.gz", "--to", "pprof", "--value", "alloc_objects")
    (tmp_path / "it").write_bytes(result.stdout_bytes)
    assert "4096" in run("convert", tmp_path / "it", "--to", "folded").stdout


def test_bare_names_are_the_same_behind_pprof() -> None:
    there = run("convert", "-", "--to", "pprof", given=b"a;b 2\na 1\n").stdout_bytes
    assert run("convert", "-", "--to", "folded", given=there).stdout == "a;b 2\na 1\n"


def test_a_span_of_a_stored_run_is_a_profile(stored: Path) -> None:
    at_knee = run("convert", "last:knee", "--to", "folded", "--store", stored)
    assert at_knee.stdout == fold(sample_run().profiles["knee"].stacks)
    with pytest.raises(UsageError, match="no profile 'noon'") as raised:
        run("convert", "last:noon", "--to", "folded", "--store", stored)
    assert "baseline" in raised.value.hint


def test_every_format_is_listed_with_what_it_keeps() -> None:
    listed = run("convert", "--list").stdout
    assert "pprof         read, written" in listed
    assert "keeps files, lines, rate and duration, unit" in listed


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"what is this", Unreadable, "of no format that is known"),
        (b'{"a": 1}', Unreadable, "this JSON is of no format"),
        (b'{"a": ', Unreadable, "is not JSON"),
        (b'{"traceEvents":' + b"[" * 5000, Unreadable, "levels of nesting"),
        (b"\x1f\x8b\x08\x00", Unreadable, "does not unzip"),
        (gzip.compress(b"a" * (200 << 20), mtime=0), Unreadable, "over 128 MiB, unzipped"),
        (b"a 1\n" + b"b" * 3_000_000, Unreadable, "characters in line 2"),
        (b"a 1\nb c\n", Unreadable, "Line 2 is not a folded stack"),
        (b"", Unreadable, "of no format that is known"),
        (b"PERFILE2\0\0", Unreadable, "a recording of perf, which only its own tool reads"),
        (b"0 f /a.php:1\n2 g /a.php:2\n", Unreadable, "Line 2 is frame 2 of a sample"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_profile_is_refused_with_its_name(
    tmp_path: Path, content: bytes, error: type[PerfhuntError], said: str
) -> None:
    file = tmp_path / "x.data"
    file.write_bytes(content)
    with pytest.raises(error, match=said) as raised:
        run("convert", file, "--to", "folded")
    assert raised.value.message.startswith(f"{file}: ")
    assert raised.value.hint


def test_what_is_not_there_or_not_written_is_a_mistake_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.folded").write_text("a 1\n")
    for words in (
        ("convert",),
        ("convert", tmp_path / "none.folded", "--to", "pprof"),
        ("convert", tmp_path / "a.folded"),
        ("convert", tmp_path / "a.folded", tmp_path / "b.jfr"),
        ("convert", tmp_path / "a.folded", "--to", "svg"),
        ("flamegraph", tmp_path / "a.folded", "--elided"),
        ("flamegraph", tmp_path / "a.folded", "--by-state"),
        ("flamegraph", tmp_path / "a.folded", GOLDEN / "austin-wall.austin"),
    ):
        with pytest.raises(UsageError) as raised:
            run(*words)
        assert raised.value.hint


def test_any_profile_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "a.folded").write_text("main;a 3\nmain;b 1\n")
    drawn = boxes(run("flamegraph", tmp_path / "a.folded").stdout)
    assert drawn[("a", 2)] == 0.75 and drawn[("main", 1)] == 1.0
    inverted = boxes(run("flamegraph", tmp_path / "a.folded", "--inverted").stdout)
    assert inverted[("a", 1)] == 0.75 and ("main", 1) not in inverted
    few = boxes(run("flamegraph", tmp_path / "a.folded", "--min", "30").stdout)
    assert ("b", 2) not in few
    run("flamegraph", tmp_path / "a.folded", "-o", tmp_path / "a.svg", "--title", "shop <1>")
    assert "shop &lt;1&gt;" in (tmp_path / "a.svg").read_text()


def test_a_difference_is_drawn_and_what_vanished_alone(tmp_path: Path) -> None:
    (tmp_path / "a.folded").write_text("main;a 3\nmain;gone 1\n")
    (tmp_path / "b.folded").write_text("main;a 4\n")
    both = run("flamegraph", tmp_path / "a.folded", tmp_path / "b.folded").stdout
    assert {"a", "gone"} <= {name for name, _ in boxes(both)}
    gone = boxes(run("flamegraph", tmp_path / "a.folded", tmp_path / "b.folded", "--elided").stdout)
    assert gone[("gone", 2)] == 0.25 and ("a", 2) not in gone


def test_states_stand_apart(tmp_path: Path) -> None:
    asleep = (Frame("main"), Frame("idle", kind=FrameKind.WAIT))
    (tmp_path / "w.folded").write_text(fold({(Frame("main"),): 1.0, asleep: 3.0}))
    drawn = boxes(run("flamegraph", tmp_path / "w.folded", "--by-state").stdout)
    assert drawn[("idle", 1)] == 0.75 and drawn[("running", 1)] == 0.25
