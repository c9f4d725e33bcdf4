"""Repositories that try to start a program of their own, each in another way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.git.repositories import commit_all, git, project_repository, write_files

BEFORE = "def price(n):\n    return n\n\n\ndef title(n):\n    return n\n"
AFTER = BEFORE.replace("return n\n", "return n + 1\n", 1)
FILES = {"app.py": BEFORE, "seed.bin": "seed\n"}
HOOKS = (
    *("applypatch-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout", "post-commit"),
    *("post-index-change", "post-merge", "post-rewrite", "pre-auto-gc", "pre-commit", "pre-push"),
    *("prepare-commit-msg", "reference-transaction", "commit-msg", "post-update", "pre-rebase"),
)


@dataclass(frozen=True)
class Trap:
    """What a repository does, and a command of plain git's that falls for it, when there is one."""

    set_up: Callable[[Path, str], None]  # the repository, and the command that springs the trap
    plain: tuple[str, ...] = ()


def _settings(settings: Mapping[str, str], attributes: str = "") -> Callable[[Path, str], None]:
    def set_up(root: Path, command: str) -> None:
        for key, value in settings.items():
            git(root, "config", key, value.replace("TRAP", command))
        (root / ".git/info").mkdir(exist_ok=True)
        (root / ".git/info/attributes").write_text(attributes)

    return set_up


def _raw(text: bytes, attributes: bytes) -> Callable[[Path, str], None]:
    """Configuration that git's own command would not write."""

    def set_up(root: Path, command: str) -> None:
        with (root / ".git/config").open("ab") as config:
            config.write(text.replace(b"TRAP", command.encode()))
        (root / ".git/info/attributes").write_bytes(attributes)

    return set_up


def _hooks(root: Path, command: str) -> None:
    (root / ".git/hooks").mkdir(exist_ok=True)
    for name in HOOKS:
        hook = root / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\n{command}\n")
        hook.chmod(0o755)


def _hooks_elsewhere(root: Path, command: str) -> None:
    _hooks(root, command)
    (root / ".git/hooks").rename(root / ".git/elsewhere")
    git(root, "config", "core.hooksPath", str(root / ".git/elsewhere"))


def _filter_on_worktrees(root: Path, command: str) -> None:
    """A filter that only linked working trees have: where a checkout would be."""
    (root / ".git/more").write_text(f'[filter "evil"]\n\tsmudge = {command}; cat\n')
    git(root, "config", "includeIf.gitdir:**/worktrees/**.path", str(root / ".git/more"))
    (root / ".git/info/attributes").write_text("* filter=evil\n")


def _included(root: Path, command: str) -> None:
    (root / ".git/more").write_text(f'[filter "evil"]\n\tclean = {command}; cat\n')
    git(root, "config", "include.path", str(root / ".git/more"))
    (root / ".git/info/attributes").write_text("* filter=evil\n")


def _worktree_configuration(root: Path, command: str) -> None:
    git(root, "config", "extensions.worktreeConfig", "true")
    git(root, "config", "--worktree", "filter.evil.clean", f"{command}; cat")
    (root / ".git/info/attributes").write_text("* filter=evil\n")


def _inner(root: Path, command: str) -> None:
    """An untracked repository inside, dirty and with a filter of its own."""
    inner = root / "vendor/inner"
    inner.mkdir(parents=True)
    project_repository(inner, {"x.py": "X = 1\n"})
    _settings({"filter.evil.clean": "TRAP; cat", "core.fsmonitor": "TRAP"}, "* filter=evil\n")(
        inner, command
    )
    write_files(inner, {"x.py": "X = 2\n"})


def _submodule(root: Path, command: str) -> None:
    """A tracked repository inside, dirty and with a monitor of its own."""
    inner = root / "inner"
    inner.mkdir()
    head = project_repository(inner, {"x.py": "X = 1\n"})
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{head},inner")
    git(root, "commit", "--quiet", "-m", "with a submodule", "--", "inner")
    _settings({"core.fsmonitor": "TRAP", "filter.evil.clean": "TRAP; cat"}, "* filter=evil\n")(
        inner, command
    )
    write_files(inner, {"x.py": "X = 22\n"})


def _promised(root: Path, command: str) -> None:
    """A blob of HEAD that is missing, and a remote that promises to bring it by a command."""
    blob = git(root, "rev-parse", "HEAD:seed.bin")
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    script = root / ".git/bring"
    script.write_text(f"#!/bin/sh\n{command}\n")
    script.chmod(0o755)
    for key, value in {
        "remote.origin.url": f"ext::{script} %S",
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
        "extensions.partialClone": "origin",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
    }.items():
        git(root, "config", key, value)


def _written_over(root: Path, command: str) -> None:
    """Settings that are taken over, with values that would be a filter if they were not quoted."""
    evil = f'\n[filter "evil"]\n\tclean = {command}; cat\n\tsmudge = {command}; cat\n'
    git(root, "config", "core.excludesFile", f'x"{evil}')
    git(root, "config", f'branch.a"]{command}\\.merge', f"refs/heads/a\\{evil}")
    git(root, "config", f'remote.a"]{command}\\.fetch', f'+refs/heads/*:refs/r/*"{evil}')
    (root / ".git/info/attributes").write_text("* filter=evil\n")


def _program_of_the_repositorys(root: Path, command: str) -> None:
    """A git of its own, for a PATH that names the current directory."""
    (root / "git").write_text(f"#!/bin/sh\n{command}\nexit 1\n")
    (root / "git").chmod(0o755)
    commit_all(root, "with a git")


ON_ALL = "* filter=evil diff=evil merge=evil\n"
TRAPS: dict[str, Trap] = {
    "clean": Trap(_settings({"filter.evil.clean": "TRAP; cat"}, ON_ALL), ("add", "app.py")),
    "smudge": Trap(
        _settings({"filter.evil.smudge": "TRAP; cat"}, ON_ALL), ("checkout", "-f", "HEAD~1")
    ),
    "process": Trap(_settings({"filter.evil.process": "TRAP"}, ON_ALL)),
    "required": Trap(
        _settings({"filter.evil.clean": "TRAP; cat", "filter.evil.required": "true"}, ON_ALL)
    ),
    "named like lfs": Trap(
        _settings({"filter.evil.clean": "git-lfs clean -- %f; TRAP; cat"}, ON_ALL),
        ("add", "app.py"),
    ),
    "equals in the name": Trap(
        _raw(b'[filter "a=b"]\n\tclean = TRAP; cat\n', b"* filter=a=b\n"), ("add", "app.py")
    ),
    "invalid byte in the name": Trap(
        _raw(b'[filter "\xff"]\n\tclean = TRAP; cat\n', b"* filter=\xff\n"), ("add", "app.py")
    ),
    "quote in the name": Trap(
        _raw(b'[filter "a\\"b"]\n\tclean = TRAP; cat\n', b'* filter=a"b\n'), ("add", "app.py")
    ),
    "capitals in the name": Trap(
        _raw(b'[FILTER "eVil"]\n\tCLEAN = TRAP; cat\n', b"* filter=eVil\n"), ("add", "app.py")
    ),
    "included": Trap(_included, ("add", "app.py")),
    "included on worktrees": Trap(
        _filter_on_worktrees, ("worktree", "add", "--detach", "../trap-worktree")
    ),
    "worktree configuration": Trap(_worktree_configuration, ("add", "app.py")),
    "hooks": Trap(_hooks, ("checkout", "-f", "HEAD~1")),
    "hooks elsewhere": Trap(_hooks_elsewhere, ("checkout", "-f", "HEAD~1")),
    "monitor": Trap(_settings({"core.fsmonitor": "TRAP"}), ("status",)),
    "external diff": Trap(_settings({"diff.external": "TRAP"}), ("diff",)),
    "diff driver": Trap(_settings({"diff.evil.command": "TRAP"}, ON_ALL), ("diff",)),
    "textconv": Trap(_settings({"diff.evil.textconv": "TRAP; cat"}, ON_ALL), ("diff",)),
    "merge driver": Trap(_settings({"merge.evil.driver": "TRAP"}, ON_ALL)),
    "signatures": Trap(_settings({"gpg.program": "TRAP", "log.showSignature": "true"})),
    "pagers and editors": Trap(
        _settings(
            {
                **{f"pager.{verb}": "TRAP" for verb in ("rev-parse", "config", "log", "ls-files")},
                **dict.fromkeys(("core.pager", "core.editor", "sequence.editor"), "TRAP"),
            }
        )
    ),
    "helpers": Trap(
        _settings(
            {
                **dict.fromkeys(("core.sshCommand", "core.askPass", "core.gitProxy"), "TRAP"),
                **dict.fromkeys(("credential.helper", "core.alternateRefsCommand"), "TRAP"),
                **dict.fromkeys(("uploadpack.packObjectsHook", "interactive.diffFilter"), "TRAP"),
                **{f"alias.{verb}": "!TRAP" for verb in ("rev-parse", "config", "cat-file")},
            }
        )
    ),
    "repository inside": Trap(_inner),
    "submodule": Trap(_submodule, ("status",)),
    "promised": Trap(_promised, ("cat-file", "blob", "HEAD:seed.bin")),
    "values that would be settings": Trap(_written_over),
    "a git of its own": Trap(_program_of_the_repositorys),
}


def trapped(root: Path, trap: Trap) -> Path:
    """A repository with two commits and one edit, that tries; the file that says it succeeded."""
    project_repository(root, FILES)
    write_files(root, {"more.py": "A = 1\n"})
    commit_all(root, "more")
    mark = root.parent / f"{root.name}-mark"
    trap.set_up(root, f"touch {mark}")
    mark.unlink(missing_ok=True)  # hooks and filters that setting up sprang
    write_files(root, {"app.py": AFTER})
    os.utime(root / "seed.bin", (1, 1))  # git must look whether it was edited
    return mark
