"""Git, asked carefully: none of a repository's hooks, pagers, monitors or filters are run."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.change import Edit, FileEdit

LARGE = 4_000_000  # bytes; a bigger file is told apart by its id alone
NUL_WITHIN = 8000  # bytes at the start of a file: git calls it binary when it sees a NUL there
_TIMEOUT: Seconds = 120  # for one git command: a diff of a large history takes seconds
_EDITS = {"A": Edit.ADDED, "D": Edit.REMOVED, "R": Edit.RENAMED}

# A repository that came as an archive carries its own .git/config, so nothing in there may start
# a program.
_QUIET = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.quotePath=false",
    "core.sshCommand=false",
    "diff.external=",
    "diff.renames=true",
    "diff.suppressBlankEmpty=false",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.orderFile=/dev/null",
    "protocol.allow=never",
    "gc.auto=0",
    "advice.detachedHead=false",
    "commit.gpgSign=false",
    "submodule.recurse=false",
    "core.alternateRefsCommand=",
    "log.showSignature=false",
)
_PROGRAMS = r"^(filter|diff)\..*\.(clean|smudge|process|textconv|command)$"
_CALLERS_OWN = r"GIT_(?!SSL_|HTTP_|CONFIG_GLOBAL$|CONFIG_SYSTEM$|CONFIG_NOSYSTEM$)"
_QUIET_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_PAGER": "cat",
    "GIT_ASKPASS": "true",
    "GIT_EDITOR": "true",
}
_DIFF = ("diff-tree", "-r", "--no-commit-id", "--no-ext-diff", "--no-textconv")


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a diff with both of its contents; None where it does not exist."""

    edit: FileEdit
    before: bytes | None
    after: bytes | None

    @property
    def path(self) -> str:
        """Where it is now, or where it was when it is gone."""
        return self.edit.path

    @property
    def binary(self) -> bool:
        """Whether either side is binary, as git decides it."""
        return any(b"\0" in side[:NUL_WITHIN] for side in (self.before, self.after) if side)

    def texts(self) -> tuple[str | None, str | None]:
        """Both sides as text; undecodable bytes are kept as surrogates."""
        return _text(self.before), _text(self.after)


def _text(content: bytes | None) -> str | None:
    if content is None:
        return None
    return content.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


class Repository:
    """A git repository by its top directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._options: tuple[str, ...] | None = None

    def inside(self, path: Path) -> Path:
        """Where a path lies, counted from the top directory."""
        return path.resolve().relative_to(self.root.resolve())

    def git(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> bytes:
        """What a git command printed. Raises ChangeRefused with git's own words when it fails.

        `extra` are variables for its environment.
        """
        done = self.attempt(*arguments, stdin=stdin, extra=extra)
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()
            words = words or f"it ended with {done.returncode}"
            raise ChangeRefused(
                f"git {arguments[0]} failed in {self.root}: {words}",
                "Mend the repository, then try again.",
            )
        return done.stdout

    def line(self, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
        """The one line that a git command printed. Raises ChangeRefused when it fails."""
        return self.git(*arguments, extra=extra).decode().strip()

    def attempt(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """The finished git command, whether it failed or not."""
        if self._options is None:
            self._options = tuple(self._quiet_options())
        return _run(self.root, (*self._options, *arguments), stdin, extra)

    def _quiet_options(self) -> Iterator[str]:
        """Options that turn off every program which the repository's configuration names."""
        listed = _run(self.root, ("config", "-z", "--get-regexp", _PROGRAMS)).stdout
        records = [r.partition("\n") for r in listed.decode(errors="replace").split("\0") if r]
        off = [f"{key}=" for key, _, value in records if not value.startswith("git-lfs ")]
        for setting in (*_QUIET, *off):
            yield from ("-c", setting)

    def resolve(self, revision: str) -> str:
        """The full id of the commit a revision names. Raises UsageError when there is none."""
        options = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        done = self.attempt("rev-parse", *options)
        if done.returncode:
            raise UsageError(
                f"{revision!r} is not a revision of {self.root}",
                "Name a commit, a branch or a tag: git log --oneline",
            )
        return done.stdout.decode().strip()

    def tree(self, revision: str) -> str:
        """The id of a commit's tree."""
        return self.line("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}")

    def untracked(self) -> tuple[str, ...]:
        """Files git does not know and does not ignore."""
        listed = self.git("ls-files", "--others", "--exclude-standard", "-z")
        return tuple(sorted(_paths(listed)))

    def worktree_tree(self) -> str:
        """A tree of the working tree as it stands, untracked files included.

        The user's index and files are not touched. Its objects stay in the repository's store,
        unreferenced, until git tidies up (as with `git stash create`).
        """
        with _own_index() as extra:
            index = Path(os.fsdecode(self.git("rev-parse", "--git-path", "index").rstrip(b"\n")))
            if (self.root / index).exists():
                # The copy keeps its time: git tells racy entries by it, and hashes only edited
                # files again.
                shutil.copy2(self.root / index, extra["GIT_INDEX_FILE"])
            self.git("add", "--all", "--", ".", extra=extra)
            return self.line("write-tree", extra=extra)

    @contextmanager
    def temporary_index(self, tree: str) -> Iterator[Mapping[str, str]]:
        """Variables for git commands that work on an index of their own, filled from a tree."""
        with _own_index() as extra:
            self.git("read-tree", tree, extra=extra)
            yield extra

    def contents(self, base: str, head: str) -> tuple[Content, ...]:
        """Every file that differs between two trees (or commits), renames found, in path order."""
        rows = list(_rows(self.git(*_DIFF, "-z", "-M", base, head, "--")))
        blobs = self._blobs(name for row in rows for name in (row.before, row.after))
        return tuple(
            Content(
                edit=FileEdit(row.path, row.old_path, _EDITS.get(row.status, Edit.CHANGED)),
                before=blobs.get(row.before),
                after=blobs.get(row.after),
            )
            for row in rows
        )

    def patch(self, base: str, head: str, *paths: str) -> bytes:
        """The difference between two trees (in some paths only), as `git apply` takes it."""
        return self.git(*_DIFF, "-p", "--binary", "--full-index", base, head, "--", *paths)

    def fingerprint(self, base: str, head: str) -> str:
        """SHA-256 of the difference between two trees."""
        return hashlib.sha256(self.patch(base, head)).hexdigest()

    def _blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Blob contents by id; a large one is stood in for by its id."""
        named = sorted({blob for blob in ids if blob.strip("0")})
        if not named:
            return {}
        listing = "\n".join(named).encode()
        form = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
        listed = self.git("cat-file", form, stdin=listing).decode().splitlines()
        sizes = {blob: int(size) for blob, kind, size in map(str.split, listed) if kind == "blob"}
        # A submodule's entry is a commit of another repository: its id is all there is to compare.
        blobs = {blob: f"submodule {blob}\n".encode() for blob in named if blob not in sizes}
        blobs |= {b: f"large file {b}\0".encode() for b, size in sizes.items() if size > LARGE}
        small = [blob for blob, size in sizes.items() if size <= LARGE]
        printed = self.git("cat-file", "--batch", stdin="\n".join(small).encode()) if small else b""
        at = 0
        for blob in small:  # each is a head line, its bytes, and a newline
            start = printed.index(b"\n", at) + 1
            at = start + sizes[blob] + 1
            blobs[blob] = printed[start : at - 1]
        return blobs


@dataclass(frozen=True, slots=True)
class _Row:
    """One record of `git diff-tree --raw`: `before` and `after` are ids of blobs."""

    before: str
    after: str
    status: str
    old_path: str
    path: str


def _paths(listed: bytes) -> Iterator[str]:
    """The paths of a list that git ended each with a NUL."""
    return (os.fsdecode(path) for path in listed.split(b"\0") if path)


def _rows(raw: bytes) -> Iterator[_Row]:
    """Records of `git diff-tree --raw -z`: ':mode mode id id status', then a path, or two."""
    fields = _paths(raw)
    for head in fields:
        _, _, before, after, status = head.split(" ")
        old_path = next(fields)
        path = next(fields) if status[0] in "RC" else old_path
        yield _Row(before=before, after=after, status=status[0], old_path=old_path, path=path)


@contextmanager
def _own_index() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="perfhunt-index-") as directory:
        yield {"GIT_INDEX_FILE": str(Path(directory) / "index")}


def _run(
    root: Path,
    arguments: Sequence[str],
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "--no-pager", "--no-replace-objects", "--literal-pathspecs", *arguments],
            cwd=root,
            env=clean_environment(extra),
            input=stdin,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        missing = "git is not installed" if root.is_dir() else f"there is no directory {root}"
        hint = "Install git (apt-get install git), or name the repository."
        raise ChangeRefused(missing, hint) from error
    except subprocess.TimeoutExpired as error:
        late = f"git {arguments[-1]} took longer than {_TIMEOUT} s in {root}"
        raise ChangeRefused(late) from error


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without GIT_ variables, git's prompts and network turned off."""
    kept = {k: v for k, v in os.environ.items() if not re.match(_CALLERS_OWN, k)}
    return {**kept, **_QUIET_ENVIRONMENT, **(extra or {})}


def find_repository(start: Path) -> Repository:
    """The repository that holds a directory. Raises ChangeRefused when none does."""
    done = _run(start, ("rev-parse", "--show-toplevel"))
    if done.returncode:
        raise ChangeRefused(
            f"{start} is not in a git repository",
            "Without git there is no telling what changed. Start one:"
            " git init && git add -A && git commit",
        )
    return Repository(Path(os.fsdecode(done.stdout.rstrip(b"\n"))))
