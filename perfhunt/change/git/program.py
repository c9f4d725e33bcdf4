"""The one place that starts git, and what it is started with: no configuration but our own.

git reads its configuration and finds its hooks in the directory that GIT_DIR names. Every command
but two is given one that we made (`own_directory`), so there is no filter, hook, monitor, pager or
remote that a repository could name, by whatever spelling. The two ask the repository itself where
it lies and what it is set to: `rev-parse` and `config` start nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from perfhunt.errors import ChangeRefused
from perfhunt.model.redact import url
from perfhunt.model.units import Seconds

_TIMEOUT: Seconds = 120  # for one git command: a diff of a large history takes seconds
_FIXED = ("--no-pager", "--no-replace-objects", "--literal-pathspecs")
# Where the caller's git finds certificates, and its own configuration.
_CALLERS_OWN = r"GIT_(?!SSL_|HTTP_|CONFIG_GLOBAL$|CONFIG_SYSTEM$|CONFIG_NOSYSTEM$)"
_QUIET = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_PAGER": "cat",
    "GIT_ASKPASS": "true",
    "GIT_EDITOR": "true",
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_NOWHERE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "HOME": "/nonexistent",  # where git before 2.32 looks for the user's configuration
    "XDG_CONFIG_HOME": "/nonexistent",
}


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without GIT_ variables, git's prompts turned off: for commands of
    the user's, and for the two questions that need the user's own configuration.
    """
    kept = {k: v for k, v in os.environ.items() if not re.match(_CALLERS_OWN, k)}
    return {**kept, **_QUIET, **(extra or {})}


def own_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which git finds no configuration of anybody's."""
    return {**clean_environment(), **_NOWHERE, **(extra or {})}


def run(
    directory: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """The finished git command. Raises ChangeRefused when git is missing or too slow."""
    command = [_program(), *_FIXED, *arguments]
    try:
        return subprocess.run(
            command,
            cwd=directory,
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise ChangeRefused(f"there is no directory {directory}", "Name the repository.") from error
    except subprocess.TimeoutExpired as error:
        late = f"git {arguments[0]} took longer than {_TIMEOUT} s in {directory}"
        raise ChangeRefused(late) from error


@contextmanager
def streaming(
    directory: Path, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes
) -> Iterator[IO[bytes]]:
    """What a git command prints, as it prints it; it is ended when the block is left."""
    with tempfile.TemporaryFile() as asked:
        asked.write(stdin)
        asked.seek(0)
        with subprocess.Popen(
            [_program(), *_FIXED, *arguments],
            cwd=directory,
            env=environment,
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            try:
                yield process.stdout
            finally:
                process.kill()


def words_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """What git said on its standard error, with what may be kept of a URL: a remote's may hold a
    password.
    """
    return _URL.sub(lambda m: url(m[0]), done.stderr.decode(errors="replace").strip())


def version() -> str:
    """Of the installed git; "" when there is none."""
    try:
        said = run(Path("/"), ("version",), own_environment()).stdout.split()
    except ChangeRefused:
        return ""
    return said[2].decode() if len(said) > 2 else ""  # `git version 2.39.5`


def _program() -> str:
    """git by its full path, never from a directory that is named relative to the repository's."""
    found = _search(os.environ.get("PATH", os.defpath))
    if found is None:
        raise ChangeRefused("git is not installed", "Install it: apt-get install git")
    return found


@cache
def _search(path: str) -> str | None:
    absolute = [place for place in path.split(os.pathsep) if place.startswith("/")]
    return shutil.which("git", path=os.pathsep.join(absolute))
