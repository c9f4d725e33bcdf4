"""Which packages of a Java program are its own: those in the directories of its class path and in
the archive that its main class is in, beside what has the main class's own prefix. Other archives
hold libraries.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from perfhunt.model.document.bounded import read_all
from perfhunt.model.run import Process
from perfhunt.target.code.sources import LONGEST, UNZIPPABLE
from perfhunt.target.proc.process import variables

_PATHS = frozenset({"-cp", "-classpath", "--class-path"})
_JAR, _MODULE = "-jar", frozenset({"-m", "--module"})
# Options of `java` whose value is the word after them.
_VALUED = re.compile(r"-p|--(?:module-path|upgrade-module-path|limit-modules|source|add-\w+)")
_CLASS, _SOURCE = ".class", ".java"
# Where archives that hold archives have the program's own classes.
_WITHIN = ("BOOT-INF/classes/", "WEB-INF/classes/")
_MANIFEST = "META-INF/MANIFEST.MF"
_MAIN = re.compile(r"^(Start-Class|Main-Class): *(\S+)", re.MULTILINE)
_CLASS_PATH = re.compile(r"^Class-Path: *(.*)$", re.MULTILINE)
# What a build tool leaves for each project that went into an archive.
_PROJECT = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_PREFIX = 2  # parts of a package that name who wrote it: com.acme
_MOST_FILES = 20_000  # looked at below one directory


def java_packages(process: Process) -> tuple[str, ...]:
    """The packages (and classes that are in none) of a JVM's own program, as far as its command
    line and class path tell; none where they do not.
    """
    paths, jar, main = _asked(process)
    places = [place for path in paths for place in _places(process, path)]
    archives = [place for place in places if zipfile.is_zipfile(place)]
    names = {name for place in places if place.is_dir() for name in _classes_below(place)}
    for archive in archives:
        try:
            with zipfile.ZipFile(archive) as held:
                named = _main_class(held) if jar else main
                if jar or _file(named) in held.namelist():
                    names |= set(_own_classes(held, named))
                    main = named
                    break
        except (OSError, *UNZIPPABLE):
            continue
    packages = {name.rpartition(".")[0] or name for name in names}
    return tuple(sorted((packages | {_prefix(main)}) - {""}))


def compiled_classes(process: Process) -> Iterator[Path]:
    """The archives and class files of a JVM's class path, as they are seen from here."""
    paths, _, _ = _asked(process)
    for place in (place for path in paths for place in _places(process, path)):
        if not place.is_dir():
            yield from (place, *_beside(process, place))
        else:
            yield from (
                place / f"{name.replace('.', '/')}{_CLASS}" for name in _classes_below(place)
            )


def _beside(process: Process, archive: Path) -> Iterator[Path]:
    """The archives that an archive says are to be on the class path with it."""
    try:
        with zipfile.ZipFile(archive) as held:
            listed = _CLASS_PATH.search(re.sub(r"\r?\n ", "", _manifest(held)))
    except (OSError, *UNZIPPABLE):
        return
    for name in listed[1].split() if listed else ():
        yield archive.parent / name


def _places(process: Process, path: str) -> list[Path]:
    """Where a part of a class path is, for us; `lib/*` stands for the archives there."""
    place = Path(f"/proc/{process.pid}/root") / os.path.join(process.cwd, path).lstrip("/")
    return sorted(place.parent.glob("*.jar")) if place.name == "*" else [place]


def _asked(process: Process) -> tuple[list[str], bool, str]:
    """(class path, whether it is one archive, main class) of a command line."""
    words, path = iter(process.cmdline[1:]), variables(process.pid).get("CLASSPATH", ".")
    for word in words:
        option, _, value = word.partition("=")
        if word == _JAR:
            return [next(words, "")], True, ""
        if option in _PATHS:
            path = value or next(words, "")
        elif option in _MODULE:
            return path.split(":"), False, (value or next(words, "")).rpartition("/")[2]
        elif _VALUED.fullmatch(option):
            if not value:
                next(words, "")
        elif word.endswith(_SOURCE):
            break
        elif not word.startswith(("-", "@")):
            return path.split(":"), False, word.replace("/", ".")
    return [], False, ""


def _classes_below(directory: Path) -> Iterator[str]:
    seen = 0
    for folder, _, files in os.walk(directory):
        inside = os.path.relpath(folder, directory).replace(os.sep, ".").strip(".")
        for file in files:
            seen += 1
            if seen > _MOST_FILES:
                return
            if file.endswith(_CLASS):
                yield f"{inside}.{file.removesuffix(_CLASS)}".lstrip(".")


def _main_class(held: zipfile.ZipFile) -> str:
    """The class that an archive says is to be run; of one that is started by a loader, the one that
    this starts.
    """
    named = {match[1]: match[2] for match in _MAIN.finditer(_manifest(held).replace("\r", ""))}
    return named.get("Start-Class") or named.get("Main-Class", "")


def _manifest(held: zipfile.ZipFile) -> str:
    with held.open(_MANIFEST) as packed:
        return read_all(packed.read, LONGEST, _MANIFEST).decode(errors="replace")


def _own_classes(held: zipfile.ZipFile, main: str) -> Iterator[str]:
    """The program's own classes in its archive. Of one into which others were merged, those that
    have the main class's prefix.
    """
    names = held.namelist()
    within = next((place for place in _WITHIN if any(n.startswith(place) for n in names)), "")
    merged = sum(_PROJECT.fullmatch(name) is not None for name in names) > 1 and not within
    for name in names:
        if name.endswith(_CLASS) and name.startswith(within) and not name.startswith("META-INF/"):
            own = name.removeprefix(within).removesuffix(_CLASS).replace("/", ".")
            if not merged or own.startswith(_prefix(main)):
                yield own


def _file(name: str) -> str:
    return name.replace(".", "/") + _CLASS


def _prefix(name: str) -> str:
    """What the package of a class begins with; "" for one in none."""
    return ".".join(name.split(".")[:-1][:_PREFIX])


def as_modules(processes: Iterable[Process]) -> tuple[str, ...]:
    """The packages of every JVM among some processes."""
    own = (java_packages(process) for process in processes if process.runtime == "jvm")
    return tuple(name for packages in own for name in packages)
