"""Atoms of edited manifests and locks: packages whose resolved version changed, and settings that
live in such files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from perfhunt.change.readers.packages.manifests import (
    Manifest,
    ManifestError,
    Package,
    ecosystem,
    read_manifest,
)
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

# Distributions whose import name is not their own name; the rest are tried as written, with dashes
# as underscores.
_IMPORTS = {
    "pyyaml": "yaml",
    "pillow": "PIL",
    "beautifulsoup4": "bs4",
    "python-dateutil": "dateutil",
    "scikit-learn": "sklearn",
    "psycopg2-binary": "psycopg2",
    "mysqlclient": "MySQLdb",
    "python-dotenv": "dotenv",
    "protobuf": "google",
    "pyjwt": "jwt",
    "opencv-python": "cv2",
    "django-redis": "django_redis",
    "brotli": "brotli",
    "python-jose": "jose",
    "pymemcache": "pymemcache",
}
_LOCKS = {
    "python": ("poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock"),
    "js": ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"),
    "rust": ("Cargo.lock",),
    "java": ("gradle.lockfile",),
    "ruby": ("Gemfile.lock",),
}


@dataclass(slots=True)
class _Project:
    """The manifests of one directory and ecosystem, before and after, merged."""

    family: str
    lock: str = ""
    before: dict[str, tuple[Package, str]] = field(default_factory=dict)
    after: dict[str, tuple[Package, str]] = field(default_factory=dict)


def dependency_atoms(sources: Sequence[FileTexts], present: Collection[str]) -> FileAtoms:
    """One atom per package that changed. `present` are the paths of the newer tree: where a lock
    is, constraints do not count.
    """
    projects: dict[tuple[str, str], _Project] = {}
    atoms: list[Atom] = []
    notes: list[str] = []
    question: list[Atom] = []
    for source in sorted(sources, key=lambda s: _is_lock(s.path)):  # locks last: they override
        folder, family = str(PurePosixPath(source.path).parent), ecosystem(source.path)
        project = projects.setdefault(
            (folder, family), _Project(family, _lock_of(folder, family, present))
        )
        try:
            before, after = _read(source, source.before), _read(source, source.after)
        except ManifestError as error:
            notes.append(f"{error}; the whole file counts as one edit")
            atoms.append(Atom(Kind.DEPENDENCY, source.path, PurePosixPath(source.path).name))
            continue
        atoms += _settings(source, before, after)
        if before.question != after.question:
            question.append(Atom(Kind.QUESTION, source.path, "tool.perfhunt"))
        if not project.lock or after.lock or before.lock:
            for manifest, side in ((before, project.before), (after, project.after)):
                side.update({n: (p, source.path) for n, p in manifest.packages.items()})
    atoms += [a for project in projects.values() for a in _packages(project)]
    touched = {a.file for a in (*atoms, *question)}
    ignored = [
        Atom(Kind.IGNORED, s.path, "", Edit.CHANGED, "same versions")
        for s in sources
        if s.path not in touched
    ]
    return FileAtoms(tuple(atoms), (*ignored, *question), tuple(notes))


def _is_lock(path: str) -> bool:
    return any(PurePosixPath(path).name in locks for locks in _LOCKS.values()) or path.endswith(
        "requirements.txt"
    )


def _lock_of(folder: str, family: str, present: Collection[str]) -> str:
    """The lock file that settles versions in a directory, or one above it (workspaces keep one at
    the top).
    """
    for above in (PurePosixPath(folder), *PurePosixPath(folder).parents):
        for name in _LOCKS.get(family, ()):
            if str(above / name) in present:
                return str(above / name)
    return ""


def _read(source: FileTexts, text: str | None) -> Manifest:
    return Manifest({}) if text is None else read_manifest(source.path, text)


def _packages(project: _Project) -> list[Atom]:
    found = []
    for name in dict.fromkeys([*project.before, *project.after]):
        old, old_file = project.before.get(name, (None, ""))
        new, new_file = project.after.get(name, (None, ""))
        if (old and new and old.version == new.version) or all(p.dev for p in (old, new) if p):
            continue
        edit = Edit.CHANGED if old and new else Edit.ADDED if new else Edit.REMOVED
        detail = " -> ".join(p.version for p in (old, new) if p and p.version)
        needs = {n for p in (old, new) if p for n in p.needs}
        prefix = f"package:{project.family}"
        names = tuple(
            dict.fromkeys((f"{prefix}:{name}", f"import:{name}", f"import:{_module(name)}"))
        )
        links = Links(names, tuple(sorted(f"{prefix}:{n}" for n in needs)))
        found.append(Atom(Kind.DEPENDENCY, new_file or old_file, name, edit, detail, links=links))
    return found


def _module(package: str) -> str:
    return _IMPORTS.get(package, package.replace("-", "_"))


def _settings(source: FileTexts, before: Manifest, after: Manifest) -> list[Atom]:
    old: Mapping[str, str] = before.settings or {}
    new: Mapping[str, str] = after.settings or {}
    found = []
    for name in dict.fromkeys([*old, *new]):
        if (
            old.get(name) != new.get(name)
            and source.before is not None
            and source.after is not None
        ):
            edit = (
                Edit.CHANGED
                if name in old and name in new
                else Edit.ADDED
                if name in new
                else Edit.REMOVED
            )
            found.append(
                Atom(Kind.CONFIG, source.path, name, edit, links=Links((f"setting:{name}",)))
            )
    return found
