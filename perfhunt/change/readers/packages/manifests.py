"""Resolved packages of manifest and lock files: what each version is, and which other packages it
needs.
"""

from __future__ import annotations

import json
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True, slots=True)
class Package:
    """One package: its version (or the constraint on it), what it needs, whether only developers
    use it.
    """

    name: str
    version: str
    needs: tuple[str, ...] = ()
    dev: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one file says: packages by name, and other settings in it that act at run time (name ->
    value).

    `lock` is True when the versions are resolved ones; `question` is perfhunt's own table, as text.
    """

    packages: Mapping[str, Package]
    lock: bool = False
    settings: Mapping[str, str] | None = None
    question: str = ""


class ManifestError(ValueError):
    """The file is not what its name says."""


_DEV = re.compile(r"dev|test|lint|doc|ci\b|typing|build")


def read_manifest(path: str, text: str) -> Manifest:
    """The packages in a manifest or lock file. Raises ManifestError when it does not parse."""
    name = PurePosixPath(path).name
    for pattern, reader in _READERS:
        if re.fullmatch(pattern, name):
            try:
                return reader(text, bool(_DEV.search(name.lower().removesuffix(".toml"))))
            except (
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                ElementTree.ParseError,
            ) as error:
                raise ManifestError(f"{path}: {error}") from error
    raise ManifestError(f"{path}: no reader for this kind of file")


def ecosystem(path: str) -> str:
    """Which family of packages a file names: python, js, go, rust, java, ruby."""
    name = PurePosixPath(path).name
    for pattern, family in _FAMILIES:
        if re.fullmatch(pattern, name):
            return family
    return "python"


def normal_name(name: str) -> str:
    """A package name as PEP 503 compares them; scopes and paths are left alone."""
    return re.sub(r"[-_.]+", "-", name).lower() if not re.search("[/:@]", name) else name


def _index(packages: Iterator[Package]) -> dict[str, Package]:
    found: dict[str, Package] = {}
    for package in packages:
        known = found.get(package.name)
        if (
            known and known.version != package.version
        ):  # several versions side by side, as npm and cargo allow
            versions = ", ".join(sorted({*known.version.split(", "), package.version}))
            package = Package(
                package.name, versions, known.needs + package.needs, known.dev and package.dev
            )
        found[package.name] = package
    return found


_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(.*)")


def _requirement(line: str, dev: bool, needs: tuple[str, ...] = ()) -> Package | None:
    """One PEP 508 line; None for options, blanks and comments."""
    bare = re.split(r"\s#|\s--hash", line.partition(" \\")[0])[0].strip().rstrip("\\").strip()
    match = _REQUIREMENT.fullmatch(bare)
    if not match or bare.startswith(("-", "#")):
        return None
    return Package(normal_name(match[1]), match[2].replace(" ", "").removeprefix("=="), needs, dev)


def _requirements(text: str, dev: bool) -> Manifest:
    """requirements.txt; `# via` comments (pip-compile) say who needs a package."""
    packages: list[Package] = []
    needs: dict[str, set[str]] = {}
    for line in text.splitlines():
        package = _requirement(line, dev)
        if package:
            packages.append(package)
        via = re.search(r"#\s*(?:via\s+)?([\w.,\s-]+)$", line)
        if packages and via and ("via " in line or line.lstrip().startswith("#   ")):
            for parent in re.split(r"[,\s]+", via[1].strip()):
                needs.setdefault(normal_name(parent), set()).add(packages[-1].name)
    return Manifest(
        _index(
            Package(p.name, p.version, tuple(sorted(needs.get(p.name, ()))), p.dev)
            for p in packages
        ),
        lock="# via" in text,
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _table(table: Mapping[str, Any], dev: bool) -> Iterator[Package]:
    for name, value in table.items():
        if name != "python":
            yield Package(normal_name(name), _plain(value), (), dev)


def _pyproject(text: str, dev: bool) -> Manifest:
    read = tomllib.loads(text)
    project, tool = read.get("project", {}), read.get("tool", {})
    poetry = tool.get("poetry", {})
    packages = [p for line in project.get("dependencies", []) if (p := _requirement(line, False))]
    for extra, lines in project.get("optional-dependencies", {}).items():
        packages += [p for line in lines if (p := _requirement(line, bool(_DEV.search(extra))))]
    packages += _table(poetry.get("dependencies", {}), False)
    for group, table in poetry.get("group", {}).items():
        packages += _table(table.get("dependencies", {}), bool(_DEV.search(group)))
    return Manifest(
        _index(iter(packages)), question=_plain(tool["perfhunt"]) if "perfhunt" in tool else ""
    )


def _toml_lock(text: str, dev: bool) -> Manifest:
    """poetry.lock, uv.lock, pdm.lock, Cargo.lock: an array of packages."""
    return Manifest(
        _index(_locked(p) for p in tomllib.loads(text).get("package", []) if "version" in p),
        lock=True,
    )


def _locked(entry: Mapping[str, Any]) -> Package:
    needs = entry.get("dependencies", {})
    names = (
        list(needs)
        if isinstance(needs, dict)
        else [n["name"] if isinstance(n, dict) else n.split()[0] for n in needs]
    )
    groups = entry.get("groups") or ([entry["category"]] if "category" in entry else [])
    dev = bool(groups) and all(_DEV.search(g) for g in groups)
    return Package(
        normal_name(entry["name"]),
        entry["version"],
        tuple(normal_name(re.split(r"[\s\[<>=~!;]", n)[0]) for n in names),
        dev,
    )


def _pipfile(text: str, dev: bool) -> Manifest:
    read = tomllib.loads(text)
    return Manifest(
        _index(
            iter(
                [
                    *_table(read.get("dev-packages", {}), True),
                    *_table(read.get("packages", {}), False),
                ]
            )
        )
    )


def _pipfile_lock(text: str, dev: bool) -> Manifest:
    read = json.loads(text)
    pairs = [
        (n, e, group == "develop")
        for group in ("develop", "default")
        for n, e in read.get(group, {}).items()
    ]
    return Manifest(
        _index(
            Package(normal_name(n), e.get("version", "").removeprefix("=="), (), d)
            for n, e, d in pairs
        ),
        lock=True,
    )


def _package_json(text: str, dev: bool) -> Manifest:
    read = json.loads(text)
    packages = [
        *_table(read.get("devDependencies", {}), True),
        *_table(read.get("dependencies", {}), False),
    ]
    scripts = {
        f"scripts.{k}": v
        for k, v in read.get("scripts", {}).items()
        if k in ("start", "serve", "prestart", "start:prod")
    }
    engines = {f"engines.{k}": v for k, v in read.get("engines", {}).items()}
    modules = {"type": read["type"]} if "type" in read else {}
    return Manifest(_index(iter(packages)), settings={**scripts, **engines, **modules})


def _package_lock(text: str, dev: bool) -> Manifest:
    read = json.loads(text)
    entries = read.get("packages") or {
        f"node_modules/{n}": e for n, e in read.get("dependencies", {}).items()
    }
    found = (
        Package(
            path.rpartition("node_modules/")[2],
            e.get("version", ""),
            tuple(e.get("dependencies") or e.get("requires") or ()),
            bool(e.get("dev")),
        )
        for path, e in entries.items()
        if path and not e.get("link")
    )
    return Manifest(_index(found), lock=True)


def _yarn_lock(text: str, dev: bool) -> Manifest:
    blocks = re.findall(r'^"?(@?[^@\s"]+)@[^\n]*:\n((?:[ ]+[^\n]*\n?)+)', text, re.M)
    found = (
        Package(
            name,
            _first(r'version:? "?([^"\n]+)', body),
            tuple(re.findall(r'^    "?(@?[\w./-]+)"?:? ', body, re.M)),
        )
        for name, body in blocks
    )
    return Manifest(_index(found), lock=True)


def _pnpm_lock(text: str, dev: bool) -> Manifest:
    found = (
        Package(name, version)
        for name, version in re.findall(r"^  '?/?(@?[\w./-]+)@([\w.+-]+)[^\n]*:$", text, re.M)
    )
    return Manifest(_index(found), lock=True)


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _go_mod(text: str, dev: bool) -> Manifest:
    """go.mod; which direct requirement forces an indirect one is not written there, so every direct
    one may.
    """
    rows = re.findall(r"^\s*(?:require\s+)?([\w.-]+\.[\w./-]+)\s+(v\S+)([^\n]*)$", text, re.M)
    indirect = tuple(name for name, _, rest in rows if "// indirect" in rest)
    packages = (
        Package(name, version, () if name in indirect else indirect) for name, version, rest in rows
    )
    replaced = {
        f"replace {a}": b
        for a, b in re.findall(r"^\s*(?:replace\s+)?(\S+(?: v\S+)?)\s+=>\s+(.+)$", text, re.M)
    }
    toolchain = dict(re.findall(r"^(go|toolchain)\s+(\S+)", text, re.M))
    return Manifest(_index(packages), lock=True, settings={**toolchain, **replaced})


def _cargo_toml(text: str, dev: bool) -> Manifest:
    read = tomllib.loads(text)
    packages = [
        *_table(read.get("dev-dependencies", {}), True),
        *_table(read.get("dependencies", {}), False),
    ]
    profile = {
        f"profile.{p}.{k}": _plain(v)
        for p, table in read.get("profile", {}).items()
        if p != "test"
        for k, v in table.items()
    }
    return Manifest(_index(iter(packages)), settings=profile)


def _pom(text: str, dev: bool) -> Manifest:
    root = ElementTree.fromstring(re.sub(r'\sxmlns="[^"]+"', "", text, count=1))
    properties = {p.tag: (p.text or "").strip() for p in root.iterfind("properties/*")}
    packages = []
    for node in [*root.iter("dependency"), *root.iter("parent")]:
        version = re.sub(
            r"\$\{([^}]+)\}", lambda m: properties.get(m[1], m[0]), node.findtext("version", "")
        )
        packages.append(
            Package(
                f"{node.findtext('groupId')}:{node.findtext('artifactId')}",
                version,
                (),
                node.findtext("scope") == "test",
            )
        )
    used = set(re.findall(r"\$\{([^}]+)\}", text))
    other = {k: v for k, v in properties.items() if k not in used and not k.startswith("project.")}
    return Manifest(_index(iter(packages)), settings=other)


def _gradle(text: str, dev: bool) -> Manifest:
    rows = re.findall(r"(\w*)[ (]+['\"]([\w.-]+:[\w.-]+):([\w.+-]+)['\"]", text)
    return Manifest(
        _index(Package(name, version, (), how.startswith("test")) for how, name, version in rows)
    )


def _setup(text: str, dev: bool) -> Manifest:
    """setup.py and setup.cfg: requirement-like lines after install_requires."""
    block = _first(r"install_requires\s*=\s*\[?([^\]]*?)(?:\]|\n\n|\n\[|\Z)", text)
    return Manifest(
        _index(
            p
            for part in re.split(r"[\n,](?![<>=!~\d])", block)
            if (p := _requirement(part.strip(" '\""), False))
        )
    )


def _conda(text: str, dev: bool) -> Manifest:
    return Manifest(
        _index(
            Package(normal_name(n), v)
            for n, v in re.findall(r"^\s*-\s+([\w.-]+)\s*([<>=~!][^\s#]*)", text, re.M)
        )
    )


def _gemfile_lock(text: str, dev: bool) -> Manifest:
    blocks = re.findall(r"^    ([\w.-]+) \(([^)]+)\)\n((?:      [^\n]+\n)*)", text, re.M)
    return Manifest(
        _index(
            Package(n, v, tuple(re.findall(r"^      ([\w.-]+)", body, re.M)))
            for n, v, body in blocks
        ),
        lock=True,
    )


def _gemfile(text: str, dev: bool) -> Manifest:
    return Manifest(
        _index(
            Package(n, v) for n, v in re.findall(r"^\s*gem ['\"]([\w.-]+)['\"](.*)$", text, re.M)
        )
    )


def _hashes(text: str, dev: bool) -> Manifest:
    """go.sum: hashes only."""
    return Manifest({}, lock=True)


_READERS: tuple[tuple[str, Callable[[str, bool], Manifest]], ...] = (
    (r"requirements.*|constraints.*", _requirements),
    (r"pyproject\.toml", _pyproject),
    (r"(poetry|uv|pdm|Cargo)\.lock", _toml_lock),
    (r"Pipfile", _pipfile),
    (r"Pipfile\.lock", _pipfile_lock),
    (r"package\.json", _package_json),
    (r"package-lock\.json|npm-shrinkwrap\.json", _package_lock),
    (r"yarn\.lock", _yarn_lock),
    (r"pnpm-lock\.yaml", _pnpm_lock),
    (r"go\.mod", _go_mod),
    (r"go\.sum", _hashes),
    (r"Cargo\.toml", _cargo_toml),
    (r"pom\.xml", _pom),
    (r"build\.gradle(\.kts)?|gradle\.lockfile", _gradle),
    (r"setup\.(py|cfg)", _setup),
    (r"environment\.ya?ml", _conda),
    (r"Gemfile\.lock", _gemfile_lock),
    (r"Gemfile", _gemfile),
)
_FAMILIES = (
    (r"package.*\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml", "js"),
    (r"go\.(mod|sum)", "go"),
    (r"Cargo\..*", "rust"),
    (r"pom\.xml|build\.gradle.*|gradle\.lockfile", "java"),
    (r"Gemfile.*", "ruby"),
)
