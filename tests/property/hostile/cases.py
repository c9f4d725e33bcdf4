"""Inputs that once crashed a reader, or held it up: found by `scripts/fuzz`, by reading, or sent by
people.
"""

from __future__ import annotations

import gzip

_CALL = b'"callFrame":{"functionName":"f","url":"","lineNumber":1}'

CRASHES: tuple[tuple[str, bytes], ...] = (
    ("pprof.gz", gzip.compress(bytes(200 << 20), 1, mtime=0)),  # 200 MiB of zeros
    ("pprof", b"\x12\x00" * 100_000),  # empty samples
    (
        "cpuprofile",
        b'{"nodes":[{"id":1,'
        + _CALL
        + b',"children":[2]},{"id":2,'
        + _CALL
        + b',"children":[1]}],"samples":[2]}',
    ),
    (
        "cpuprofile",
        b'{"nodes":[{"id":1,"callFrame":{"functionName":"f","url":"","lineNumber":1e999}}],"samples":[1]}',
    ),
    ("cpuprofile", b"[" * 100_000),
    ("py-spy folded", b"f (a.py:" + b"9" * 5000 + b") 1\n"),
    ("py-spy folded", b"a" + b" (" * 100_000 + b" 1\n"),
    ("jfr", b"stackTrace = [\n a.B.f() line: " + b"9" * 5000 + b"\n]\n"),
    ("jfr collections", b"jdk.GCPhasePause {\nduration = 1.2.3 s\n}\n"),
    ("jfr collections", b"jdk.GCPhasePause {\nduration = " + b"1" * 200_000 + b"\n}\n"),
    ("java dump", b'"' + b'" ' * 100_000 + b"nid=0x1\n\t- locked" + b" " * 100_000),
    ("perf script", b"a" + b" " * 200_000 + b"b\n"),
    ("hyperfine", b'{"results":[{"command":"a","times":[0.1],"memory_usage_byte":[1e999]}]}'),
    ("owner.json", b'{"pid":1e999,"pid_started":1,"started":"","phase":""}'),
    ("run.json", b"[" * 100_000),
    ("trials.jsonl", b"[" * 100_000 + b"\n{}\n"),
    ("calibration.json", b"[" * 100_000),
    ("perfhunt.toml", b"a" + b".a" * 100_000 + b" = 1"),
    ("perfhunt.toml", b"\n" * 20_000 + b"p99.9 = "),
    ("target's source", b"def f():\n" + b"    x\n" * 20_000),
    ("target's source", b"x = " + b"-" * 100_000 + b"1"),
    ("edit of app.py", b"x = " + b"-" * 100_000 + b"1"),
    ("edit of app.py", b"x = " + b"+".join([b"a"] * 1500)),
    ("edit of Cargo.lock", b'[[package]]\nname = "a"\nversion = ["b 1"]\n'),
    ("cpuprofile", b'{"nodes":[{"id":1,"callFrame":{"\\ud800":"f"}}],"samples":[]}'),
    ("orders", b"\x81" * 1000),
    ("answers", b"\x82\xa4type\xa9LoadError\xa3why\xa1\xa1"),
    ("edit of a.yaml", b"a: &a [*a]\n"),
    ("edit of setup.cfg", b"[options]\na" + b" " * 50_000 + b"b"),
    ("edit of nginx.conf", b"a{\nb 1\n" * 5000),
)
