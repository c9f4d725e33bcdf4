"""Python services whose program or library is another file by now, or no interpreter at all."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.profilers.cpython.looks import CpythonLooker
from perfhunt.profilers.table import PROFILERS, cpython_looker
from perfhunt.target.runtime import python_image, runtime_of
from tests.live.profiler_targets.launch import HERE, running, runs_freely

pytestmark = [pytest.mark.live, pytest.mark.beside]
PROGRAM = Path(sys.executable).resolve()


def functions(pid: int) -> set[str]:
    """Those that the own reader sees the threads of a process in."""
    looker = CpythonLooker(pid)
    try:
        return {frame.function for sample in looker.look() for frame in sample.stack}
    finally:
        looker.close()


def libpython() -> Path:
    """The library that this interpreter is linked to, or a skip."""
    image = python_image(os.getpid())
    if image is None or image.program:
        pytest.skip("this Python is not linked to a libpython")
    return Path(image.path)


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "removed"])
def test_a_program_that_is_another_file_by_now_is_read_as_the_one_that_runs(
    replaced: bool, tmp_path: Path
) -> None:
    program = tmp_path / PROGRAM.name
    shutil.copy(PROGRAM, program)
    with running("threads.py", "lock", program=str(program)) as target:
        if replaced:
            (tmp_path / "new").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
            (tmp_path / "new").chmod(0o755)
            (tmp_path / "new").rename(program)
        else:
            program.unlink()
        assert "lock" in functions(target.pid)
        assert runs_freely(target.pid)
    assert not (tmp_path / "started").exists()


def test_a_library_that_was_replaced_is_read_as_the_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / libpython().name
    shutil.copy(libpython(), library)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with running("threads.py", "lock", program=str(PROGRAM)) as target:
        image = python_image(target.pid)
        if image is None or image.path != str(library):
            pytest.skip("this Python has its library by a path of its own")
        library.unlink()
        assert runtime_of(target.pid)[0] == "cpython"
        if os.geteuid() == 0:
            assert "lock" in functions(target.pid)
        else:
            with pytest.raises(AttachFailed, match="was replaced since") as refused:
                cpython_looker(target.pid)
            assert "Start the service again" in refused.value.hint
        assert "start the service again" in PROFILERS["py-spy"].available([target.pid])


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "beside its interpreter"])
def test_a_service_with_a_python_inside_is_not_started_once_more(
    frozen: bool, tmp_path: Path
) -> None:
    headers = sysconfig.get_path("include")
    if shutil.which("gcc") is None or not Path(headers, "Python.h").exists():
        pytest.skip("gcc or the headers of this Python are not here")
    library, program = libpython(), tmp_path / "service"
    linked = [f"-L{library.parent}", f"-l:{library.name}", f"-Wl,-rpath,{library.parent}"]
    source = HERE / "embedding.c"
    subprocess.run(["gcc", f"-I{headers}", source, "-o", program, *linked], check=True, timeout=60)
    if frozen:
        library = Path(shutil.copy(library, tmp_path))
    words = [f"--chdir={tmp_path}", f"LD_LIBRARY_PATH={library.parent}", str(program)]
    with running("", *words, program="env") as target:
        assert runtime_of(target.pid)[0] == "cpython"
        looker, why = cpython_looker(target.pid)
        try:
            seen = {frame.function for sample in looker.look() for frame in sample.stack}
        finally:
            looker.close()
        assert len(list(tmp_path.glob("started-*"))) == 1
    assert ("is no Python interpreter" in why) is frozen
    assert "waits_inside" in seen
