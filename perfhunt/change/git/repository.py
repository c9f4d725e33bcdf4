"""Git, asked carefully: argument lists only, none of the repository's hooks, pagers, monitors or
filters are run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.model.verdict.change import Edit, FileEdit

LARGE = 4_000_000  # bytes; a bigger file is told apart by its hash alone
_TIMEOUT = 120
_EDITS = {"A": Edit.ADDED, "D": Edit.REMOVED, "R": Edit.RENAMED}

# A repository that came as an archive carries its own .git/config, so nothing in there may start a
# program.
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


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a diff with both of its contents; None where it does not exist. `mode` is git's,
    of the newer side.
    """

    edit: FileEdit
    before: bytes | None
    after: bytes | None
    mode: str = "100644"

    @property
    def path(self) -> str:
        return self.edit.path

    @property
    def binary(self) -> bool:
        """True when either side holds a NUL in its first 8000 bytes, as git decides it."""
        return any(b"\0" in side[:8000] for side in (self.before, self.after) if side)

    def texts(self) -> tuple[str | None, str | None]:
        """Both sides as text; undecodable bytes are kept as surrogates."""
        return _text(self.before), _text(self.after)


def _text(content: bytes | None) -> str | None:
    return (
        None
        if content is None
        else content.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    )


class Repository:
    """A git repository by its top directory. Raises ChangeRefused when git says no, UsageError for
    an unknown revision.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._options: tuple[str, ...] | None = None

    def git(
        self, *arguments: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None
    ) -> bytes:
        """What a git command printed. Raises ChangeRefused with git's own words when it fails."""
        done = self.attempt(*arguments, stdin=stdin, extra=extra)
        if done.returncode:
            said = (
                done.stderr.decode(errors="replace").strip() or f"it ended with {done.returncode}"
            )
            raise ChangeRefused(
                f"git {arguments[0]} failed in {self.root}: {said}",
                "Mend the repository, then try again.",
            )
        return done.stdout

    def attempt(
        self, *arguments: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """The finished git command, whether it failed or not."""
        return _run(self.root, (*self._config(), *arguments), stdin, extra)

    def _config(self) -> tuple[str, ...]:
        if self._options is None:
            listed = _run(
                self.root,
                (
                    "config",
                    "-z",
                    "--get-regexp",
                    r"^(filter|diff)\..*\.(clean|smudge|process|textconv|command)$",
                ),
            )
            off = [key for key, value in _pairs(listed.stdout) if not value.startswith("git-lfs ")]
            self._options = tuple(
                part
                for setting in (*_QUIET, *(f"{key}=" for key in off))
                for part in ("-c", setting)
            )
        return self._options

    def resolve(self, revision: str) -> str:
        """The full id of the commit a revision names. Raises UsageError when there is none."""
        done = self.attempt(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        if done.returncode:
            raise UsageError(
                f"{revision!r} is not a revision of {self.root}",
                "Name a commit, a branch or a tag: git log --oneline",
            )
        return done.stdout.decode().strip()

    def tree(self, revision: str) -> str:
        """The id of a commit's tree."""
        return (
            self.git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}")
            .decode()
            .strip()
        )

    def untracked(self) -> tuple[str, ...]:
        """Files git does not know and does not ignore."""
        listed = self.git("ls-files", "--others", "--exclude-standard", "-z")
        return tuple(sorted(os.fsdecode(p) for p in listed.split(b"\0") if p))

    def worktree_tree(self) -> str:
        """A tree of the working tree as it stands, untracked files included; the user's index and
        files are not touched.

        Its objects stay in the repository's store, unreferenced, until git tidies up (as with `git
        stash create`).
        """
        with tempfile.TemporaryDirectory(prefix="perfhunt-index-") as directory:
            index = Path(directory) / "index"
            extra = {"GIT_INDEX_FILE": str(index)}
            own = Path(os.fsdecode(self.git("rev-parse", "--git-path", "index").rstrip(b"\n")))
            own = own if own.is_absolute() else self.root / own
            if own.exists():
                shutil.copy2(
                    own, index
                )  # with its time: git tells racy entries by it, and hashes only edited files again
            self.git("add", "--all", "--", ".", extra=extra)
            return self.git("write-tree", extra=extra).decode().strip()

    def contents(self, base: str, head: str) -> tuple[Content, ...]:
        """Every file that differs between two trees (or commits), renames found, in path order."""
        raw = self.git(
            "diff-tree",
            "-r",
            "-z",
            "-M",
            "--no-commit-id",
            "--no-ext-diff",
            "--no-textconv",
            base,
            head,
            "--",
        )
        counts = self._counts(base, head)
        rows = list(_rows(raw))
        blobs = self._blobs([name for row in rows for name in (row.before, row.after)])
        return tuple(
            Content(
                FileEdit(
                    row.path,
                    row.old_path,
                    _EDITS.get(row.status, Edit.CHANGED),
                    *counts.get(row.path, (0, 0)),
                ),
                blobs.get(row.before),
                blobs.get(row.after),
                row.mode,
            )
            for row in rows
        )

    def patch(self, base: str, head: str) -> bytes:
        """The whole difference between two trees, as `git apply` takes it."""
        return self.git(
            "diff-tree",
            "-r",
            "-p",
            "--binary",
            "--full-index",
            "--no-ext-diff",
            "--no-textconv",
            base,
            head,
            "--",
        )

    def fingerprint(self, base: str, head: str) -> str:
        """SHA-256 of the difference between two trees."""
        return hashlib.sha256(self.patch(base, head)).hexdigest()

    def _counts(self, base: str, head: str) -> dict[str, tuple[int, int]]:
        listed = self.git(
            "diff-tree",
            "-r",
            "-z",
            "--numstat",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            base,
            head,
            "--",
        )
        found: dict[str, tuple[int, int]] = {}
        for record in listed.split(b"\0"):
            added, _, rest = record.partition(b"\t")
            removed, _, path = rest.partition(b"\t")
            if path:
                found[os.fsdecode(path)] = (
                    int(added) if added.isdigit() else 0,
                    int(removed) if removed.isdigit() else 0,
                )
        return found

    def _blobs(self, names: Sequence[str]) -> dict[str, bytes]:
        """Blob contents by id; a large one is stood in for by its id."""
        wanted = sorted({n for n in names if n.strip("0")})
        if not wanted:
            return {}
        listed = self.git(
            "cat-file",
            "--batch-check=%(objectname) %(objecttype) %(objectsize)",
            stdin="\n".join(wanted).encode(),
        )
        sizes = {
            f[0]: int(f[2])
            for f in (line.split() for line in listed.decode().splitlines())
            if f[1] == "blob"
        }
        found = {
            name: f"large file {name}\0".encode() for name, size in sizes.items() if size > LARGE
        }
        small = [name for name, size in sizes.items() if size <= LARGE]
        out, at = (
            self.git("cat-file", "--batch", stdin="\n".join(small).encode()) if small else b"",
            0,
        )
        for name in small:
            start = out.index(b"\n", at) + 1
            found[name] = out[start : start + sizes[name]]
            at = start + sizes[name] + 1
        # A submodule's entry is a commit of another repository: its id is all there is to compare.
        return {**{n: f"submodule {n}\n".encode() for n in wanted if n not in sizes}, **found}


@dataclass(frozen=True, slots=True)
class _Row:
    mode: str
    before: str
    after: str
    status: str
    old_path: str
    path: str


def _rows(raw: bytes) -> Iterator[_Row]:
    """The records of `git diff-tree --raw -z`: ':mode mode id id status', then one path, or two for
    a rename.
    """
    fields = iter([os.fsdecode(f) for f in raw.split(b"\0")])
    for head in fields:
        if not head:
            continue
        old_mode, mode, before, after, status = head.lstrip(":").split(" ")
        old_path = next(fields)
        path = next(fields) if status[0] in "RC" else old_path
        yield _Row(mode if status[0] != "D" else old_mode, before, after, status[0], old_path, path)


def _pairs(listed: bytes) -> Iterator[tuple[str, str]]:
    for record in listed.split(b"\0"):
        key, _, value = record.decode(errors="replace").partition("\n")
        if key:
            yield key, value


def _run(
    root: Path,
    arguments: Sequence[str],
    stdin: bytes | None = None,
    extra: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "--no-pager", "--no-replace-objects", "--literal-pathspecs", *arguments],
            cwd=root,
            env=clean_environment(extra),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        missing = "git is not installed" if root.is_dir() else f"there is no directory {root}"
        raise ChangeRefused(
            missing, "Install git (apt-get install git), or name the repository."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ChangeRefused(
            f"git {arguments[-1]} took longer than {_TIMEOUT} s in {root}"
        ) from error


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any GIT_ variable, and with git's prompts and network
    off.
    """
    kept = {
        k: v
        for k, v in os.environ.items()
        if not re.match(r"GIT_(?!SSL_|HTTP_|CONFIG_GLOBAL$|CONFIG_SYSTEM$|CONFIG_NOSYSTEM$)", k)
    }
    quiet = {
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PAGER": "cat",
        "GIT_ASKPASS": "true",
        "GIT_EDITOR": "true",
    }
    return {**kept, **quiet, **(extra or {})}


def find_repository(start: Path) -> Repository:
    """The repository that holds a directory. Raises ChangeRefused when none does."""
    done = _run(start, ("rev-parse", "--show-toplevel"))
    if done.returncode:
        raise ChangeRefused(
            f"{start} is not in a git repository",
            "Without git there is no telling what changed. Start one: git init && git add -A && git"
            " commit",
        )
    return Repository(Path(os.fsdecode(done.stdout.rstrip(b"\n"))))


@contextmanager
def temporary_index(tree: str, repository: Repository) -> Iterator[dict[str, str]]:
    """Environment for git commands that work on an index of their own, filled from a tree."""
    with tempfile.TemporaryDirectory(prefix="perfhunt-index-") as directory:
        extra = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
        repository.git("read-tree", tree, extra=extra)
        yield extra
