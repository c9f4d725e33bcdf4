"""Manifests and lock files as packages: the version of each, and which other ones it needs.

Read are requirements, pyproject.toml and setup files, Pipfile, npm's, Go's, Cargo's and Maven's
files, and the locks of these. Other package files (yarn, pnpm, Gradle, Gemfile, conda) are not
read into packages.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import json_value, python_tree, toml_table


@dataclass(frozen=True, slots=True)
class Package:
    """A package: its version (or the constraint on it) and what it needs.

    `dev` is True when it is for developers only.
    """

    name: str
    version: str
    needs: tuple[str, ...] = ()
    dev: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one file says: packages by name, and settings in it that act at run time, by name.

    `lock` is True when the versions are resolved ones; `question` is perfhunt's own table, as text.
    """

    packages: Mapping[str, Package] = field(default_factory=dict)
    lock: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    question: str = ""


class ManifestError(Unreadable):
    """The file is not what its name says, or is not read into packages."""


_LONGEST_LINE = 10_000  # characters of setup.cfg: its reader takes quadratic time for blanks
_SHOWN = 60  # characters of a name that is none
_FOR_DEVELOPERS = re.compile(r"dev|test|lint|doc|ci\b|typing|build")
_BROKEN = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    Unreadable,
    configparser.Error,
    ElementTree.ParseError,
)


def read_manifest(path: str, text: str) -> Manifest:
    """The packages in a manifest or lock file. Raises ManifestError when they cannot be read."""
    name = PurePosixPath(path).name
    form = next((form for pattern, form in _FORMS if re.fullmatch(pattern, name)), None)
    if form is None:
        raise ManifestError(f"{path} is not read into packages")
    try:
        manifest = form(text)
        for package in manifest.packages.values():
            if not all(isinstance(w, str) for w in (package.name, package.version, *package.needs)):
                raise TypeError(f"{str(package.name)[:_SHOWN]} is not written as a package is")
    except _BROKEN as error:
        raise ManifestError(f"{path} does not parse ({error})") from error
    if form is _requirements and _FOR_DEVELOPERS.search(name):
        packages = {n: replace(p, dev=True) for n, p in manifest.packages.items()}
        return replace(manifest, packages=packages)
    return manifest


def ecosystem(path: str) -> str:
    """Which family of packages a file names: python, js, go, rust, java, ruby, conda."""
    name = PurePosixPath(path).name
    return next((f for pattern, f in _FAMILIES if re.fullmatch(pattern, name)), "python")


def normal_name(name: str) -> str:
    """A package name as PEP 503 compares them; scopes and paths are left alone."""
    return name if re.search("[/:@]", name) else str(canonicalize_name(name))


def _by_name(packages: Iterable[Package]) -> dict[str, Package]:
    """Packages by name; npm and cargo may have several versions of one side by side."""
    named: dict[str, Package] = {}
    for package in packages:
        other = named.get(package.name)
        if other and other.version != package.version:
            versions = sorted({*other.version.split(", "), package.version})
            needs, dev = other.needs + package.needs, other.dev and package.dev
            package = Package(package.name, ", ".join(versions), needs, dev)
        named[package.name] = package
    return named


def _requirement(line: str, dev: bool = False) -> Iterator[Package]:
    """The package of one PEP 508 line; none for options, blanks and comments."""
    bare = re.split(r"(?:^|\s)(?:#|-|\\)|\\$", line)[0].strip()
    if not bare:
        return
    try:
        requirement = Requirement(bare)
    except InvalidRequirement:  # a path, or a repository at a revision: pip takes these too
        name, _, version = bare.rpartition("@")
        yield Package(name or version, version if name else "", (), dev)
        return
    version = str(requirement).removeprefix(requirement.name).removeprefix("==").strip()
    yield Package(normal_name(requirement.name), version, (), dev)


def _requirements(text: str) -> Manifest:
    """requirements.txt; `# via` comments (pip-compile) say who needs a package."""
    packages: list[Package] = []
    needs: dict[str, set[str]] = {}
    for line in text.splitlines():
        packages += _requirement(line)
        via = re.search(r"#\s*(?:via\s+)?([\w.,\s-]+)$", line)
        if packages and via and ("via " in line or line.lstrip().startswith("#   ")):
            for parent in re.split(r"[,\s]+", via[1].strip()):
                needs.setdefault(normal_name(parent), set()).add(packages[-1].name)
    needing = (replace(p, needs=tuple(sorted(needs.get(p.name, ())))) for p in packages)
    return Manifest(_by_name(needing), lock="# via" in text)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _table(table: Mapping[str, Any], dev: bool = False) -> Iterator[Package]:
    for name, value in table.items():
        if name != "python":
            yield Package(normal_name(name), _plain(value), (), dev)


def _tables(read: Mapping[str, Any], runtime: str, developers: str) -> dict[str, Package]:
    dev = _table(read.get(developers, {}), dev=True)
    return _by_name([*dev, *_table(read.get(runtime, {}))])


def _pyproject(text: str) -> Manifest:
    read = toml_table(text, "it")
    project, tool = read.get("project", {}), read.get("tool", {})
    poetry = tool.get("poetry", {})
    packages = [p for line in project.get("dependencies", []) for p in _requirement(line)]
    for extra, lines in project.get("optional-dependencies", {}).items():
        dev = bool(_FOR_DEVELOPERS.search(extra))
        packages += [p for line in lines for p in _requirement(line, dev)]
    packages += _table(poetry.get("dependencies", {}))
    for group, table in poetry.get("group", {}).items():
        packages += _table(table.get("dependencies", {}), bool(_FOR_DEVELOPERS.search(group)))
    question = _plain(tool["perfhunt"]) if "perfhunt" in tool else ""
    return Manifest(_by_name(packages), question=question)


def _toml_lock(text: str) -> Manifest:
    """poetry.lock, uv.lock, pdm.lock, Cargo.lock: an array of packages."""
    entries = (e for e in toml_table(text, "it").get("package", []) if "version" in e)
    return Manifest(_by_name(map(_locked, entries)), lock=True)


def _locked(entry: Mapping[str, Any]) -> Package:
    names = (n["name"] if isinstance(n, dict) else n for n in entry.get("dependencies", ()))
    needs = tuple(normal_name(re.split(r"[\s\[<>=~!;]", name)[0]) for name in names)
    groups = entry.get("groups") or ([entry["category"]] if "category" in entry else [])
    dev = bool(groups) and all(_FOR_DEVELOPERS.search(group) for group in groups)
    return Package(normal_name(entry["name"]), entry["version"], needs, dev)


def _pipfile(text: str) -> Manifest:
    return Manifest(_tables(toml_table(text, "it"), "packages", "dev-packages"))


def _pipfile_lock(text: str) -> Manifest:
    read = json_value(text, "it")
    versions = {
        group: {n: e.get("version", "").removeprefix("==") for n, e in read.get(group, {}).items()}
        for group in ("default", "develop")
    }
    return Manifest(_tables(versions, "default", "develop"), lock=True)


def _package_json(text: str) -> Manifest:
    read = json_value(text, "it")
    starts = ("start", "serve", "prestart", "start:prod")
    scripts = {f"scripts.{k}": v for k, v in read.get("scripts", {}).items() if k in starts}
    engines = {f"engines.{k}": v for k, v in read.get("engines", {}).items()}
    modules = {"type": read["type"]} if "type" in read else {}
    packages = _tables(read, "dependencies", "devDependencies")
    return Manifest(packages, settings={**scripts, **engines, **modules})


def _package_lock(text: str) -> Manifest:
    read = json_value(text, "it")
    older = {f"node_modules/{n}": e for n, e in read.get("dependencies", {}).items()}
    packages = (
        Package(
            name=path.rpartition("node_modules/")[2],
            version=entry.get("version", ""),
            needs=tuple(entry.get("dependencies") or entry.get("requires") or ()),
            dev=bool(entry.get("dev")),
        )
        for path, entry in (read.get("packages") or older).items()
        if path and not entry.get("link")
    )
    return Manifest(_by_name(packages), lock=True)


def _go_mod(text: str) -> Manifest:
    """go.mod; it does not say which direct requirement forces an indirect one, so each may."""
    rows = re.findall(r"^\s*(?:require\s+)?([\w.-]+\.[\w./-]+)\s+(v\S+)([^\n]*)$", text, re.M)
    indirect = tuple(name for name, _, rest in rows if "// indirect" in rest)
    packages = (Package(n, version, () if n in indirect else indirect) for n, version, _ in rows)
    replaced = re.findall(r"^\s*(?:replace\s+)?(\S+(?: v\S+)?)\s+=>\s+(.+)$", text, re.M)
    toolchain = dict(re.findall(r"^(go|toolchain)\s+(\S+)", text, re.M))
    settings = toolchain | {f"replace {module}": by for module, by in replaced}
    return Manifest(_by_name(packages), lock=True, settings=settings)


def _go_sum(text: str) -> Manifest:
    return Manifest(lock=True)  # hashes only


def _cargo_toml(text: str) -> Manifest:
    read = toml_table(text, "it")
    profiles = {p: table for p, table in read.get("profile", {}).items() if p != "test"}
    settings = {f"profile.{p}.{k}": _plain(v) for p, t in profiles.items() for k, v in t.items()}
    return Manifest(_tables(read, "dependencies", "dev-dependencies"), settings=settings)


def _pom(text: str) -> Manifest:
    root = ElementTree.fromstring(re.sub(r'\sxmlns="[^"]+"', "", text, count=1))
    properties = {p.tag: (p.text or "").strip() for p in root.iterfind("properties/*")}
    reference = re.compile(r"\$\{([^}]+)\}")
    packages = (
        Package(
            name=f"{node.findtext('groupId')}:{node.findtext('artifactId')}",
            version=reference.sub(
                lambda m: properties.get(m[1], m[0]), node.findtext("version", "")
            ),
            dev=node.findtext("scope") == "test",
        )
        for node in (*root.iter("dependency"), *root.iter("parent"))
    )
    used = set(reference.findall(text))
    other = {k: v for k, v in properties.items() if k not in used and not k.startswith("project.")}
    return Manifest(_by_name(packages), settings=other)


def _setup_py(text: str) -> Manifest:
    calls = (node for node in ast.walk(python_tree(text, "it")) if isinstance(node, ast.Call))
    named = (k.value for call in calls for k in call.keywords if k.arg == "install_requires")
    lines = [line for value in named for line in ast.literal_eval(value)]
    return Manifest(_by_name(p for line in lines for p in _requirement(line)))


def _setup_cfg(text: str) -> Manifest:
    read = configparser.ConfigParser(interpolation=None)
    if any(len(line) > _LONGEST_LINE for line in text.splitlines()):
        raise ManifestError(f"it has a line of more than {_LONGEST_LINE:,} characters")
    read.read_string(text)
    lines = read.get("options", "install_requires", fallback="").splitlines()
    return Manifest(_by_name(p for line in lines for p in _requirement(line)))


_FORMS: tuple[tuple[str, Callable[[str], Manifest]], ...] = (
    (r"requirements.*|constraints.*", _requirements),
    (r"pyproject\.toml", _pyproject),
    (r"(poetry|uv|pdm|Cargo)\.lock", _toml_lock),
    (r"Pipfile", _pipfile),
    (r"Pipfile\.lock", _pipfile_lock),
    (r"package\.json", _package_json),
    (r"package-lock\.json|npm-shrinkwrap\.json", _package_lock),
    (r"go\.mod", _go_mod),
    (r"go\.sum", _go_sum),
    (r"Cargo\.toml", _cargo_toml),
    (r"pom\.xml", _pom),
    (r"setup\.py", _setup_py),
    (r"setup\.cfg", _setup_cfg),
)
_FAMILIES = (
    (r"package.*\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml", "js"),
    (r"go\.(mod|sum)", "go"),
    (r"Cargo\..*", "rust"),
    (r"pom\.xml|build\.gradle.*|gradle\.lockfile", "java"),
    (r"Gemfile.*", "ruby"),
    (r"environment\.ya?ml", "conda"),
)
