"""Every distribution that is imported is declared, and none that nothing uses. Enforces
CONTRIBUTING.md, "How to add" (a dependency).
"""

from __future__ import annotations

import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.source import PACKAGE, ROOT, files_under, imports, modules

# Declared and never imported by name, each with its reason.
NOT_IMPORTED = {
    "granian": "runs services of tests/live/zoo",
    "gunicorn": "runs the demo's shop and the services of the live tests",
    "hypercorn": "runs services of tests/live/zoo",
    "mkdocs-material": "run by scripts/docs",
    "mypy": "run by scripts/check",
    "opentelemetry-proto": "loaded by name, where it is installed",
    "prometheus-client": "loaded by name, where it is installed",
    "py-spy": "run as a program: it has no module",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest: scripts/test asks for it",
    "ruff": "run by scripts/check",
    "scalene": "run as a program, by the interpreter of the service",
    "scipy-stubs": "types for mypy",
    "types-jsonschema": "types for mypy",
    "types-psutil": "types for mypy",
    "types-pyyaml": "types for mypy",
    "uvicorn": "runs the services of the live tests",
    **{
        f"tree-sitter{language}": "loaded by name, and only when the grammar is needed"
        for language in ("", "-go", "-java", "-javascript", "-rust", "-typescript")
    },
}
# What the services under test import from their own folders.
OURS = {"perfhunt", "tests"}


def normal(distribution: str) -> str:
    """A name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@cache
def declared() -> dict[str, set[str]]:
    """Distributions by where pyproject.toml declares them: "" is what everybody gets."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        group: {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}
        for group, lines in groups.items()
    }


def imported(paths: tuple[Path, ...]) -> dict[str, Path]:
    """Distributions that files import, each with one file that does."""
    distributions = packages_distributions()
    # The package imports itself by its whole name, but for the demo's service.
    apart = [
        p for p in paths if not p.is_relative_to(PACKAGE) or p.is_relative_to(PACKAGE / "demo")
    ]
    siblings = OURS | {path.stem for path in apart} | {path.parent.name for path in apart}
    places = {name.partition(".")[0]: path for path in paths for _, name in imports(path)}
    return {
        normal(distributions.get(top, [top])[0]): path
        for top, path in places.items()
        if top not in sys.stdlib_module_names and top not in siblings
    }


def test_what_the_package_imports_everybody_gets() -> None:
    used = imported(modules())
    assert "numpy" in used
    missing = {name: path for name, path in used.items() if name not in declared()[""]}
    assert not missing, f"imported and not declared: {missing}"


def test_what_tests_and_scripts_import_comes_with_dev() -> None:
    everything = set().union(*declared().values())
    used = imported((*files_under("tests"), *files_under("scripts")))
    assert "pytest" in used
    missing = {name: path for name, path in used.items() if name not in everything}
    assert not missing, f"imported and not declared: {missing}"


def test_nothing_is_declared_that_nobody_uses() -> None:
    everywhere = (*modules(), *files_under("tests"), *files_under("scripts"))
    everything = set().union(*declared().values())
    unused = everything - set(imported(everywhere)) - set(NOT_IMPORTED)
    assert not unused, f"declared and not imported: {sorted(unused)}"
    needless = declared()[""] - set(imported(modules())) - set(NOT_IMPORTED)
    assert not needless, f"everybody gets what only tests import: {sorted(needless)}"


def test_the_exemptions_are_still_declared_and_still_needed() -> None:
    everything = set().union(*declared().values())
    everywhere = (*modules(), *files_under("tests"), *files_under("scripts"))
    assert set(NOT_IMPORTED) <= everything
    assert not set(NOT_IMPORTED) & set(imported(everywhere))
