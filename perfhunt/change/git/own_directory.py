"""A git directory of our own beside a repository: its references and objects are seen through it,
its configuration, hooks and filters are not; what git writes lands here and goes with it.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from perfhunt.change.git.places import PLACE, held_directory
from perfhunt.change.git.program import clean_environment, run, words_of
from perfhunt.errors import ChangeRefused, Unreadable
from perfhunt.store.files import regular_bytes

# The only settings that are taken over: they say how names and lines are written, and start
# nothing. A remote without its address cannot be reached.
_LINES = "core.(autocrlf|eol|filemode|symlinks|ignorecase|trustctime|checkstat)"
_TAKEN_OVER = re.compile(
    rf"{_LINES}|extensions\.(objectformat|refstorage)"
    r"|branch\..*\.(remote|merge)|remote\..*\.fetch|core\.excludesfile",
    re.DOTALL,
)
_OURS = (
    ("core.repositoryformatversion", "1"),
    ("core.bare", "false"),
    ("core.hookspath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.untrackedcache", "false"),
    ("core.splitindex", "false"),
    ("core.attributesfile", os.devnull),
    ("core.safecrlf", "false"),
    ("core.quotepath", "false"),
    ("protocol.allow", "never"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
)
_FORMATS = {"sha1", "sha256", "files", "reftable"}
_LONGEST_PATH = 1 << 16  # bytes; a path of the system has at most 4096, a file may hold anything
_OUTSIDE = "not a git repository"
_OWNERSHIP = ("dubious ownership", "unsafe repository")


@dataclass(frozen=True, slots=True)
class RepositoryLayout:
    """Where a repository lies: `git` holds HEAD and index of this working tree, `common` the
    references and objects. `settings` are those that are taken over.
    """

    root: Path
    git: Path
    common: Path
    settings: tuple[tuple[str, str], ...]

    @property
    def id_length(self) -> int:
        """Hexadecimal digits of an object's id."""
        return 64 if ("extensions.objectformat", "sha256") in self.settings else 40


def layout_of(root: Path, trusted: bool = False) -> RepositoryLayout:
    """The layout of the repository whose top directory this is, as git itself finds it.

    Raises ChangeRefused with git's own words; git refuses a repository of another user's, unless
    the caller trusts it.
    """
    trust = ("-c", "safe.directory=*") if trusted else ()
    environment = clean_environment({"GIT_CEILING_DIRECTORIES": str(root.parent)})
    done = run(root, (*trust, "rev-parse", "--absolute-git-dir"), environment)
    if done.returncode:
        raise _refusal(root, words_of(done))
    git = Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    if (root / ".git").is_dir() and not git.samefile(root / ".git"):
        raise NoRepository(root)  # git went past a `.git` that is none, and found another
    listed = run(root, (*trust, "config", "--list", "-z"), environment).stdout
    return RepositoryLayout(root, git, _common(git), tuple(_settings(root, os.fsdecode(listed))))


def _refusal(root: Path, words: str) -> ChangeRefused:
    if _OUTSIDE in words:
        return NoRepository(root)
    said = f"git will not read {root}: {words.removeprefix('fatal: ')}"
    if not any(word in words for word in _OWNERSHIP):
        return ChangeRefused(said, "Mend the repository, then try again.")
    owner = _owner(root)
    return ChangeRefused(
        said,
        f"It belongs to {owner}: run perfhunt as that user (sudo -u {owner} perfhunt ...),"
        " or add --trust-repository. Its hooks and filters are not run either way.",
    )


class NoRepository(ChangeRefused):
    """A directory was in no repository."""

    def __init__(self, start: Path) -> None:
        super().__init__(
            f"{start} is not in a git repository",
            "Without git there is no telling what changed. Start one:"
            " git init && git add -A && git commit",
        )


def _owner(root: Path) -> str:
    uid = root.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _common(git: Path) -> Path:
    """Where references and objects lie: elsewhere for a linked working tree."""
    try:
        named = os.fsdecode(regular_bytes(git / "commondir", _LONGEST_PATH).removesuffix(b"\n"))
    except (OSError, Unreadable):
        return git
    return Path(os.path.normpath(git / named.partition("\0")[0]))  # git's texts end there


def _settings(root: Path, listed: str) -> Iterator[tuple[str, str]]:
    """The settings of a NUL-separated list that are taken over; later ones come last."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    # `~` stays when nobody knows where it is: a user of a container may have no name and no home.
    yield "core.excludesfile", str(Path(os.path.expanduser(home)) / "git" / "ignore")
    for key, _, value in (record.partition("\n") for record in listed.split("\0")):
        if not _TAKEN_OVER.fullmatch(key):
            continue
        if key.startswith("extensions."):
            if value.lower() in _FORMATS:
                yield key, value.lower()
        elif key == "core.excludesfile":
            yield key, str(root / os.path.expanduser(value)) if value else os.devnull
        else:
            yield key, value


class OwnDirectory:
    """A git directory of our own for a repository, taken away with this object or the process.

    `kept` is an object directory of ours with earlier snapshots.
    """

    def __init__(self, layout: RepositoryLayout, kept: Path | None = None) -> None:
        self.layout = layout
        held = held_directory("view")
        self.path = held.path
        weakref.finalize(self, held.remove)
        others = [layout.common / "objects", *([kept] if kept and kept.is_dir() else [])]
        self.objects = (self.path / "objects", *others)  # ours first
        self._head: tuple[int, int] | None = None
        self._indexes = 0
        (self.path / "objects").mkdir()
        configure(self.path, layout.settings)
        self._see(layout)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make git use it."""
        head = self.layout.git / "HEAD"
        seen = head.stat().st_ino, head.stat().st_mtime_ns
        if seen != self._head:  # at first, and when another branch was checked out since
            shutil.copyfile(head, self.path / "HEAD")  # git takes no link for it
            self._head = seen
        return {
            "GIT_DIR": str(self.path),
            "GIT_WORK_TREE": str(self.layout.root),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(
                _quoted(str(at)) for at in self.objects[1:]
            ),
        }

    def new_index(self) -> Path:
        """Where an index may be, which no other has."""
        self._indexes += 1
        return self.path / f"index.{self._indexes}"

    def _see(self, layout: RepositoryLayout) -> None:
        """Links to what is data: references, their history, excludes, attributes, split indexes."""
        for name in ("refs", "packed-refs"):
            os.symlink(layout.common / name, self.path / name)
        links = {
            **{name: layout.common / name for name in ("reftable", "shallow", "info")},
            **{at.name: at for at in layout.git.glob("[A-Z]*_HEAD")},
            **{at.name: at for at in layout.git.glob("sharedindex.*")},
        }
        if layout.git == layout.common:
            links["logs"] = layout.common / "logs"
        else:  # a linked working tree has a history of its own HEAD
            (self.path / "logs").mkdir()
            links["logs/refs"] = layout.common / "logs" / "refs"
            links["logs/HEAD"] = layout.git / "logs" / "HEAD"
        for name, source in links.items():
            if source.exists():
                os.symlink(source, self.path / name)


def make(directory: Path, objects: Iterable[Path], settings: Iterable[tuple[str, str]]) -> None:
    """A git directory that stands alone: our configuration, and the objects of others to read."""
    for name in ("refs", "info", "objects/info", "objects/pack"):
        (directory / name).mkdir(parents=True)
    configure(directory, settings)
    lines = "".join(f"{_quoted(str(at))}\n" for at in objects)
    (directory / "objects" / "info" / "alternates").write_bytes(os.fsencode(lines))


def configure(directory: Path, settings: Iterable[tuple[str, str]]) -> None:
    """Write the configuration of a git directory: ours, and what is taken over."""
    known = [(key, value) for key, value in settings if key not in dict(_OURS)]
    text = "".join(f"{_section(key)}{_quoted(value)}\n" for key, value in (*_OURS, *known))
    (directory / "config").write_bytes(os.fsencode(text))


def _section(key: str) -> str:
    """A setting's key as a configuration file has it, up to its value."""
    section, _, rest = key.partition(".")
    between, _, name = rest.rpartition(".")
    return f"[{section}{' ' + _quoted(between) if between else ''}]\n\t{name} = "


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def is_ours(path: str) -> bool:
    """Whether an untracked path is a place of ours: TMPDIR may lie in the working tree."""
    return any(part.startswith(PLACE) for part in path.split("/"))
