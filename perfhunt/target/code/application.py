"""Whose code a target runs: the application that its command line or environment names, else the
distribution that the command itself belongs to. Files outside the installed packages are the
user's own in any case.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perfhunt.model.document.bounded import read_all
from perfhunt.model.run import Application, Process
from perfhunt.target.binary.crates import linked_crates
from perfhunt.target.code.class_path import as_modules
from perfhunt.target.code.installed import distributions, site_packages
from perfhunt.target.code.sources import LONGEST, UNZIPPABLE
from perfhunt.target.proc.files import text
from perfhunt.target.proc.namespaces import seen_from_here
from perfhunt.target.proc.process import variables

# `shop.wsgi:app`, and `shop.wsgi:create_app('test')`.
_TARGET = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)(?::[A-Za-z_][\w.]*(?:\(.*\))?)?")
# Options whose value is a module without an attribute, in Flask, Celery and uWSGI.
_NAMING = frozenset({"--app", "-A", "--module"})
# Options whose value is a directory that modules are imported from, in gunicorn and uvicorn.
_PLACING = frozenset({"--chdir", "--app-dir", "--pythonpath"})
# Variables that name the module of an application for Flask and Django.
_VARIABLES = frozenset({"FLASK_APP", "DJANGO_SETTINGS_MODULE"})
_IMPORT = re.compile(r"^\s*(?:import|from)\s+([\w.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Started:
    """How a process was started: the words behind the interpreter, its options left out, with
    `module` where it was `-m`; else the first word is the script.
    """

    process: Process
    words: tuple[str, ...]
    module: str

    @property
    def script(self) -> str:
        """The path of the script as the process has it; "" for none."""
        if self.module or not self.words:
            return ""
        return os.path.normpath(os.path.join(self.process.cwd, self.words[0]))

    def inside(self, path: str | Path) -> Path:
        """A path of the process as one of ours."""
        whole = os.path.normpath(os.path.join(self.process.cwd, path))
        return seen_from_here(self.process.pid, whole)


def application_of(processes: Sequence[Process]) -> Application:
    """What is the application of these processes among what is installed, and what is not though it
    lies elsewhere.
    """
    found = [_application(_started(p)) for p in processes if p.runtime == "cpython"]
    crates = (linked_crates(f"/proc/{p.pid}/exe") for p in processes if p.runtime == "native")
    found += [Application(libraries=each) for each in crates]
    return Application(
        modules=_once((*(n for a in found for n in a.modules), *as_modules(processes))),
        entry=_once(name for a in found for name in a.entry),
        launchers=_once(name for a in found for name in a.launchers),
        libraries=_once(name for a in found for name in a.libraries),
    )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _started(process: Process) -> _Started:
    words = process.cmdline
    if len(words) == 1:  # a title that the program gave itself: `gunicorn: worker [shop.wsgi:app]`
        words = ("", *re.split(r"[\s\[\]]+", words[0]))
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-c", "-"):
            rest = []
        elif option == "-m":
            return _Started(process, tuple(rest[1:]), rest[0] if rest else "")
        elif option in ("-W", "-X"):
            rest = rest[1:]
    return _Started(process, tuple(rest), "")


def _application(started: _Started) -> Application:
    places = site_packages(started.process)
    named = _named(started, places)
    modules = tuple(n for module in named if module for n in _imports_with(module, places))
    archive = started.inside(started.script) if started.script else None
    if archive is not None and archive.is_file() and zipfile.is_zipfile(archive):
        return Application(modules=modules, libraries=_libraries_within(archive, started.script))
    entry, launchers = _entry(started, places)
    return Application(modules=modules, entry=() if named else entry, launchers=launchers)


def _named(started: _Started, places: Sequence[Path]) -> list[str]:
    """The modules that words and environment name as what is to be served, as far as there are such
    modules; "" for a file of the user's.
    """
    roots = _import_roots(started, places)
    named: list[str] = []
    words = started.words if started.module else started.words[1:]
    values = [value for word in words for value in (word, word.partition("=")[2]) if value]
    for before, value in zip(("", *values), values, strict=False):
        match = _TARGET.fullmatch(value)
        if value.endswith(".py") and started.inside(value).is_file():
            named.append("")
        elif match and (":" in value or before in _NAMING) and _exists(match[1], roots):
            named.append(match[1])
    for value in (v for k, v in variables(started.process.pid).items() if k in _VARIABLES):
        match = _TARGET.fullmatch(value)
        if match and _exists(match[1], roots):
            named.append(match[1])
    return list(dict.fromkeys(named))


def _import_roots(started: _Started, places: Sequence[Path]) -> list[Path]:
    """Where the process may import modules from."""
    beside = zip(started.words, started.words[1:], strict=False)
    given = [value for option, value in beside if option in _PLACING]
    given += [w.partition("=")[2] for w in started.words if w.partition("=")[0] in _PLACING]
    elsewhere = [line for place in places for line in _path_lines(place)]
    script = [os.path.dirname(started.script)] if started.script else []
    given += filter(None, variables(started.process.pid).get("PYTHONPATH", "").split(":"))
    ours = [".", *given, *script, *elsewhere]
    return [*(started.inside(path) for path in ours), *places]


def _path_lines(place: Path) -> Iterator[str]:
    """The directories that .pth files add, as editable installs do."""
    for file in sorted(place.glob("*.pth")):
        lines = (line.strip() for line in text(file).splitlines())
        yield from (line for line in lines if line.startswith("/"))


def _exists(module: str, roots: Sequence[Path]) -> bool:
    top = module.partition(".")[0]
    return any((root / top).is_dir() or (root / f"{top}.py").is_file() for root in roots)


def _entry(started: _Started, places: Sequence[Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The import names of the distribution that the command or `-m` belongs to, and the script that
    its installer wrote; nothing for what was not installed.
    """
    if started.module:
        top = started.module.partition(".")[0]
        if not any((place / top).exists() or (place / f"{top}.py").exists() for place in places):
            return (), ()
        return _imports_with(started.module, places), ()
    name = PurePosixPath(started.script).name
    if PurePosixPath(started.script).parent.name not in ("bin", "Scripts"):
        return (), ()
    owner = next((d for d in distributions(places) if d.installed_script(name)), None)
    return (owner.imports(), (started.script,)) if owner is not None else ((), ())


def _imports_with(module: str, places: Sequence[Path]) -> tuple[str, ...]:
    """The import names of the distribution that holds a module; its outermost package alone where
    no distribution says so.
    """
    for distribution in distributions(places):
        names = distribution.imports()
        if any(f"{module}.".startswith(f"{name}.") for name in names):
            return names
    return (module.partition(".")[0],)


def _libraries_within(archive: Path, path: str) -> tuple[str, ...]:
    """The libraries in a zip of an application, as paths: what its own metadata says was installed
    into it, without the distribution that its `__main__` runs.
    """
    try:
        with zipfile.ZipFile(archive) as held:
            names = held.namelist()
            main = _member(held, "__main__.py")
    except (OSError, *UNZIPPABLE):
        return ()
    runs = {match[1].partition(".")[0] for match in _IMPORT.finditer(main)}
    tops: dict[str, set[str]] = {}
    with zipfile.ZipFile(archive) as held:
        for record in (n for n in names if n.endswith(".dist-info/RECORD")):
            try:
                rows = _member(held, record).splitlines()
            except (OSError, *UNZIPPABLE):
                continue
            files = [row.partition(",")[0] for row in rows]
            tops[record] = {f.partition("/")[0] for f in files if ".dist-info/" not in f}
    libraries = {top for own in tops.values() if not own & runs for top in own}
    return tuple(f"{path}/{top}" for top in sorted(libraries))


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """A file of a zip as text. Raises OSError, or one of UNZIPPABLE for none, or a larger one."""
    with archive.open(name) as packed:
        return read_all(packed.read, LONGEST, name).decode(errors="replace")
