"""The house rules that a machine can check: arrows, lengths, purity, who may print, who may import
the load engine.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "perfhunt"
SERVICE = PACKAGE / "demo" / "service"

# Lower layers first. A module may import its own package and any lower layer; packages in one layer
# do not know each other.
LAYERS: list[set[str]] = [
    {"errors"},
    {"model"},
    {"analysis"},
    {"target", "store"},
    {"load", "profilers", "change", "reports", "safety", "demo"},
    {"testing"},
    {"lab"},
    {"investigate", "verify"},
    {"jobs"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

IMPURE = {
    "asyncio",
    "datetime",
    "glob",
    "multiprocessing",
    "os",
    "pathlib",
    "psutil",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
    "locust",
    "gevent",
}


def modules() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if not p.is_relative_to(SERVICE)]


def part_of(path: Path) -> str:
    """The package or top-level module a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_imports_point_down_and_neighbours_do_not_know_each_other() -> None:
    wrong = []
    for path in modules():
        mine = part_of(path)
        for line, name in imports(path):
            parts = name.split(".")
            if parts[0] != "perfhunt" or len(parts) < 2 or parts[1] == mine or mine == "__init__":
                continue
            if LEVEL[parts[1]] >= LEVEL[mine]:
                wrong.append(f"{where(path, line)}: {mine} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_every_part_of_the_package_has_a_place_in_the_layers() -> None:
    assert {part_of(p) for p in modules()} - {"__init__"} <= set(LEVEL)


def test_model_and_analysis_touch_no_clock_file_process_or_network() -> None:
    wrong = [
        f"{where(path, line)}: {name}"
        for path in modules()
        if part_of(path) in ("model", "analysis")
        for line, name in imports(path)
        if name in IMPURE or name.split(".")[0] in IMPURE
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_load_child_imports_locust_or_gevent() -> None:
    wrong = [
        f"{where(path, line)}: {name}"
        for path in modules()
        if not path.is_relative_to(PACKAGE / "load" / "child")
        for line, name in imports(path)
        if name.split(".")[0] in ("locust", "gevent", "geventhttpclient")
    ]
    assert not wrong, "\n".join(wrong)


def test_only_cli_prints_or_exits() -> None:
    wrong = []
    for path in modules():
        # A child process speaks on its own pipes; the command line is where people are spoken to.
        if part_of(path) in ("cli", "__main__") or path.is_relative_to(PACKAGE / "load" / "child"):
            continue
        wrong += [
            where(path, node.lineno)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("print", "exit", "quit", "sys.exit", "os._exit")
        ]
    assert not wrong, "\n".join(wrong)


def test_broad_excepts_stand_only_at_the_child_process_boundary() -> None:
    wrong = []
    for path in modules():
        if path.is_relative_to(PACKAGE / "load" / "child"):
            continue
        wrong += [
            where(path, node.lineno)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ExceptHandler)
            and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        ]
    assert not wrong, "\n".join(wrong)


def test_files_and_functions_stay_short_enough_to_read() -> None:
    wrong = []
    for path in [*modules(), *sorted((ROOT / "tests").rglob("*.py"))]:
        text = path.read_text()
        if len(text.splitlines()) > 400:
            wrong.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines, at most 400")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    wrong.append(
                        f"{where(path, node.lineno)}: {node.name} has {lines} lines, at most 60"
                    )
    assert not wrong, "\n".join(wrong)


def test_no_file_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc"}
    assert not [p for p in modules() if p.stem.strip("_") in drawers]


def test_every_module_and_public_class_or_function_says_what_it_is() -> None:
    wrong = []
    for path in modules():
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            wrong.append(where(path, 1))
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith(
                "_"
            )
            if public and not ast.get_docstring(node):  # type: ignore[arg-type]
                wrong.append(f"{where(path, node.lineno)}: {node.name}")  # type: ignore[attr-defined]
    assert not wrong, "\n".join(wrong)


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    code = (
        "import sys, perfhunt.cli.app; print([m for m in ('numpy', 'scipy', 'rich', 'jinja2',"
        " 'locust', 'gevent', 'psutil') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"


def test_the_changelog_has_this_version_or_unreleased_changes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    from perfhunt import __version__

    assert f"## {__version__}" in text or "## Unreleased" in text


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/check", ".ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / script
    assert path.exists()
    assert path.stat().st_mode & 0o111, f"{script} is not executable"
