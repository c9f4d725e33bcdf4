"""What is installed for a Python process's interpreter, from the metadata beside it (PyPA's
"Recording installed projects" and "Entry points specification"; setuptools' egg-info).
"""

from __future__ import annotations

import configparser
import csv
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perfhunt.model.run import Process
from perfhunt.target.proc.files import text

_DIST_INFO = re.compile(r"(.+)-([^-]+)\.dist-info")
_METADATA = re.compile(r".+\.(?:dist|egg)-info")
_LONGEST_LINE = 4096 + 100  # characters: PATH_MAX, and what RECORD keeps of a file
_SCRIPTS = ("console_scripts", "gui_scripts")


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution: its metadata directory, and the files it put there as RECORD names
    them; none for one that keeps no record.
    """

    metadata: Path
    files: tuple[str, ...]

    def imports(self) -> tuple[str, ...]:
        """The import names of its packages and modules, dotted where a package of several
        distributions holds them.
        """
        packages = {
            str(path.parent) for name in self.files if (path := PurePosixPath(name)).name in _INITS
        }
        modules = (PurePosixPath(name) for name in self.files if name.endswith((".py", ".so")))
        tops = {_top(path, packages) for path in modules if not path.parts[0].startswith(".")}
        if not tops:
            tops = set(text(self.metadata / "top_level.txt").split())
        return tuple(sorted(name.replace("/", ".") for name in tops))

    def scripts(self) -> dict[str, str]:
        """Name of each command -> the `module:attribute` that it calls."""
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            parser.read_string(_plain_lines(text(self.metadata / "entry_points.txt")))
        except (configparser.Error, ValueError):
            return {}
        return {
            name: target
            for section in _SCRIPTS
            if parser.has_section(section)
            for name, target in parser[section].items()
        }

    def installed_script(self, name: str) -> bool:
        """Whether it put a script of that name into the directory of commands."""
        return name in self.scripts() or any(
            path.startswith("../") and PurePosixPath(path).name == name for path in self.files
        )


_INITS = frozenset({"__init__.py", "__init__.pyc"})


def _top(path: PurePosixPath, packages: set[str]) -> str:
    """The outermost package that a file is of; the file's own module where it is of none."""
    for depth in range(1, len(path.parts)):
        outer = "/".join(path.parts[:depth])
        if outer in packages:
            return outer
    return str(path.parent / path.name.partition(".")[0]).removeprefix("./")


def distributions(directories: Iterable[Path]) -> Iterator[Distribution]:
    """Every distribution whose metadata lies in these directories."""
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            if _METADATA.fullmatch(name):
                yield Distribution(directory / name, _recorded(directory / name / "RECORD"))


def _plain_lines(content: str) -> str:
    """The lines that may be: a path, or a name with an object's, is no longer than a path can be
    (and the reader of settings takes quadratic time for a line of blanks).
    """
    return "\n".join(line for line in content.splitlines() if len(line) <= _LONGEST_LINE)


def _recorded(record: Path) -> tuple[str, ...]:
    rows = csv.reader(_plain_lines(text(record)).splitlines())
    try:
        return tuple(row[0] for row in rows if row)
    except csv.Error:
        return ()


def versions_installed(process: Process) -> dict[str, str]:
    """Name to version of what is installed for a Python process's interpreter, from its dist-info
    directories.
    """
    versions: dict[str, str] = {}
    for directory in site_packages(process):
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            if match := _DIST_INFO.fullmatch(name):
                # The first on the path wins, as in an import.
                versions.setdefault(match[1].lower().replace("_", "-"), match[2])
    return dict(sorted(versions.items()))


def site_packages(process: Process) -> list[Path]:
    """Where the process imports packages from, without asking it: beside what started it, and where
    its extensions lie.
    """
    root = Path(f"/proc/{process.pid}/root")
    minor = ".".join(process.runtime_version.split(".")[:2])
    # argv[0] is the virtual environment's python (or `gunicorn`, run by it); exe is the interpreter
    # behind it.
    words = [word for word in process.cmdline[:2] if "/" in word]
    prefixes = [Path(os.path.normpath(Path(process.cwd) / word)).parent.parent for word in words]
    venv = next(
        (prefix for prefix in prefixes if (root / f"{prefix}/pyvenv.cfg".lstrip("/")).exists()),
        None,
    )
    settings = text(f"{root}{venv}/pyvenv.cfg").lower() if venv else ""
    packages = Path("lib", f"python{minor}", "site-packages")
    places = [prefix / packages for prefix in ([venv] if venv else prefixes)]
    if not venv or "include-system-site-packages = true" in settings:
        places.append(Path(process.exe).parent.parent / packages)
        if process.exe.startswith("/usr/bin"):
            places.append(Path("/usr/lib/python3/dist-packages"))
    places += [
        Path(match[1])
        for line in text(f"/proc/{process.pid}/maps").splitlines()
        if (match := re.search(r"(/\S*?/(?:site|dist)-packages)/", line))
    ]
    return [root / str(path).lstrip("/") for path in dict.fromkeys(places)]
