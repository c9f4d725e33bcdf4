"""Builds the services in this folder, each form of each once, outside of the tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILT = Path.home() / ".cache" / "perfhunt-tests" / "native"
MUSL = "x86_64-unknown-linux-musl"
FORMS = {
    "cpp": ("service.cpp", ("g++", "-O2", "-pthread")),
    "cpp with frame pointers": (
        "service.cpp",
        ("g++", "-O2", "-pthread", "-fno-omit-frame-pointer"),
    ),
    "cpp with debug information apart": ("service.cpp", ("g++", "-O2", "-pthread", "-g")),
    "cpp without unwind tables": (
        "service.cpp",
        ("g++", "-O2", "-pthread", "-fno-exceptions", "-fno-asynchronous-unwind-tables"),
    ),
    # One file, without the header of its unwind tables.
    "cpp static": ("service.cpp", ("g++", "-O2", "-pthread", "-static")),
    "rust": ("service.rs", ("rustc", "-O", "--edition", "2021")),
    "rust with frame pointers": (
        "service.rs",
        ("rustc", "-O", "--edition", "2021", "-C", "force-frame-pointers=yes", "-g"),
    ),
    # Its C library has no unwind tables, as on Alpine.
    "rust for musl": ("service.rs", ("rustc", "-O", "--edition", "2021", "--target", MUSL)),
}


def built(form: str) -> str:
    """The program. Skips where its compiler is missing."""
    source, command = FORMS[form]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    if MUSL in command and not _has_target(MUSL):
        pytest.skip(f"rustc has no target {MUSL}: rustup target add {MUSL}")
    text = (HERE / source).read_bytes()
    name = hashlib.sha256(repr((command, text)).encode()).hexdigest()[:16]
    program = BUILT / name / "service"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_suffix(".part")
        subprocess.run([*command, "-o", part, HERE / source], check=True, timeout=120)
        if form.endswith(" apart"):
            take_apart(part)
        part.replace(program)
    return str(program)


def _has_target(name: str) -> bool:
    asked = ["rustc", "--print", "target-libdir", "--target", name]
    return Path(subprocess.run(asked, capture_output=True, text=True).stdout.strip()).is_dir()


def take_apart(program: Path) -> None:
    """Put its debug information into a file beside it, which it then names."""
    apart = program.with_name("service.debug")
    subprocess.run(["objcopy", "--only-keep-debug", program, apart], check=True)
    # The link is followed, as the build id is not: nobody installed the file.
    subprocess.run(["strip", "--strip-debug", program], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={apart}", program], check=True)


def built_with_tokio(*, console: bool) -> str:
    """The service on tokio: half a minute the first time, with its console in it minutes."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    texts = [path.read_bytes() for path in sorted((HERE / "tokio").rglob("*.*"))]
    name = hashlib.sha256(repr((console, texts)).encode()).hexdigest()[:16]
    where, target = BUILT / name / "source", BUILT / name / "target"
    command = ["cargo", "build", "--release", "--target-dir", str(target)]
    command += ["--features", "console"] if console else []
    flags = {**os.environ, "RUSTFLAGS": "--cfg tokio_unstable" if console else ""}
    shutil.copytree(HERE / "tokio", where, dirs_exist_ok=True)
    done = subprocess.run(command, cwd=where, env=flags, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"it was not built: {done.stderr.strip()[-300:]}")
    return str(target / "release" / "tok")
