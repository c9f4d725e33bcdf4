"""Atoms of edited package files: packages whose version changed, and settings in such files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from perfhunt.change.readers.lines import located
from perfhunt.change.readers.packages.manifests import (
    Manifest,
    ManifestError,
    Package,
    ecosystem,
    read_manifest,
)
from perfhunt.change.readers.text import same_but_remarks
from perfhunt.change.readers.texts import (
    FileAtoms,
    FileTexts,
    edit_between,
    no_change,
    one_atom,
    together,
)
from perfhunt.model.verdict.change import Atom, Kind, Links

# The import names of distributions that are not called as they are imported; other names are
# tried as written, with dashes as underscores.
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
    "python-jose": "jose",
}
# Locks that are read into packages; where there is one, constraints in manifests do not count.
_LOCKS = {
    "python": ("poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock"),
    "js": ("package-lock.json", "npm-shrinkwrap.json"),
    "rust": ("Cargo.lock",),
}

Versions = dict[str, tuple[Package, str]]  # package and the file that says so, by package name


@dataclass(slots=True)
class _Project:
    """The manifests of one directory and family, before and after, merged."""

    family: str
    lock: str = ""
    before: Versions = field(default_factory=dict)
    after: Versions = field(default_factory=dict)


def package_atoms(edited: Sequence[FileTexts], present: Collection[str]) -> FileAtoms:
    """One atom per package that changed, or per file that is not read into packages.

    `present` are the paths of the newer tree: where a lock is, constraints do not count.
    """
    projects: dict[tuple[str, str], _Project] = {}
    parts = [_read(t, projects, present) for t in sorted(edited, key=lambda t: _is_lock(t.path))]
    atoms = [atom for project in projects.values() for atom in _packages(project)]
    for texts in edited:
        atoms = list(located(atoms, texts))
    given = together([*parts, FileAtoms(tuple(atoms))])
    touched = {atom.file for atom in (*given.atoms, *given.ignored)}
    idle = (no_change(texts, "same versions") for texts in edited if texts.path not in touched)
    return together([given, *idle])


def _read(
    texts: FileTexts, projects: dict[tuple[str, str], _Project], present: Collection[str]
) -> FileAtoms:
    """What one file gives by itself; its packages go into the project of its directory."""
    path, family = PurePosixPath(texts.path), ecosystem(texts.path)
    try:
        before, after = (
            Manifest() if text is None else read_manifest(texts.path, text)
            for text in (texts.before, texts.after)
        )
    except ManifestError as error:
        if same_but_remarks(texts):
            return no_change(texts, "same text")
        unread = (_unread(family),)
        return one_atom(texts, Kind.DEPENDENCY, path.name, str(error), Links(unread, unread))
    key = (str(path.parent), family)
    if key not in projects:
        projects[key] = _Project(family, _lock_of(path.parent, family, present))
    if not projects[key].lock or after.lock or before.lock:
        for manifest, side in ((before, projects[key].before), (after, projects[key].after)):
            side.update({n: (p, texts.path) for n, p in manifest.packages.items()})
    question = Atom(Kind.QUESTION, texts.path, "tool.perfhunt")
    return FileAtoms(
        atoms=tuple(located(_settings(texts, before.settings, after.settings), texts)),
        ignored=(question,) if before.question != after.question else (),
    )


def is_read_lock(path: str) -> bool:
    """Whether a path is that of a lock that is read into packages."""
    return any(PurePosixPath(path).name in names for names in _LOCKS.values())


def _unread(family: str) -> str:
    """What ties a file that is not read to the packages it may lock, and to its own manifest."""
    return f"unread:{family}"


def _is_lock(path: str) -> bool:
    locks = [name for names in _LOCKS.values() for name in names]
    return PurePosixPath(path).name in locks or path.endswith("requirements.txt")


def _lock_of(folder: PurePosixPath, family: str, present: Collection[str]) -> str:
    """The lock that settles versions in a directory; workspaces keep it in one above."""
    places = (
        above / name for above in (folder, *folder.parents) for name in _LOCKS.get(family, ())
    )
    return next((str(place) for place in places if str(place) in present), "")


def _packages(project: _Project) -> Iterator[Atom]:
    prefix = f"package:{project.family}"
    for name in dict.fromkeys([*project.before, *project.after]):
        old, old_file = project.before.get(name, (None, ""))
        new, new_file = project.after.get(name, (None, ""))
        sides = [package for package in (old, new) if package]
        if (old and new and old.version == new.version) or all(p.dev for p in sides):
            continue
        imported = _IMPORTS.get(name, name.replace("-", "_"))
        links = Links(
            defines=(*dict.fromkeys((f"{prefix}:{name}", f"import:{name}", f"import:{imported}")),),
            uses=(
                _unread(project.family),
                *sorted({f"{prefix}:{n}" for p in sides for n in p.needs}),
            ),
        )
        yield Atom(
            kind=Kind.DEPENDENCY,
            file=new_file or old_file,
            name=name,
            edit=edit_between(old, new),
            detail=" -> ".join(p.version for p in sides if p.version),
            links=links,
        )


def _settings(texts: FileTexts, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Atom]:
    """Settings of a manifest that was there before and still is."""
    if texts.before is None or texts.after is None:
        return
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            edit = edit_between(old.get(name), new.get(name))
            yield Atom(Kind.CONFIG, texts.path, name, edit, links=Links((f"setting:{name}",)))
