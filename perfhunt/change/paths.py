"""What a file is for, told from its path: which edits count, through what they act, and which never
could.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath


class Role(StrEnum):
    """How a file is read: each role has one reader, except the ignored ones."""

    PYTHON = "python"
    PARSED = "parsed"  # a language tree-sitter reads, when its grammar is installed
    TEXT = "text"  # code of other languages, templates: the whole file is one atom
    MANIFEST = "manifest"
    SCHEMA = "schema"
    CONFIG = "config"
    DATA = "data"
    QUESTION = "question"
    TESTS = "tests"
    DOCS = "docs"
    CI = "continuous integration"
    TOOLING = "tooling"
    PERFHUNT = "perfhunt's own"


IGNORED = frozenset({Role.TESTS, Role.DOCS, Role.CI, Role.TOOLING, Role.PERFHUNT})

_MANIFESTS = re.compile(
    r"(requirements[\w.-]*\.(txt|in)|constraints[\w.-]*\.txt|pyproject\.toml|poetry\.lock|uv\.lock|pdm\.lock|Pipfile(\.lock)?"
    r"|package\.json|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|go\.mod|go\.sum|Cargo\.(toml|lock)"
    r"|pom\.xml|build\.gradle(\.kts)?|gradle\.lockfile|setup\.py|setup\.cfg|environment\.ya?ml|Gemfile(\.lock)?)"
)
_TEST_DIRS = frozenset(
    {
        "tests",
        "test",
        "testing",
        "__tests__",
        "spec",
        "e2e",
        "testdata",
        "benchmarks",
        "bench",
        "benches",
    }
)
_TEST_FILES = re.compile(
    r"(test_.*\.py|.*_test\.(py|go)|conftest\.py|.*\.(test|spec)\.[cm]?[jt]sx?|.*(Test|Tests|IT)\.java|tests\.py)"
)
_CI = re.compile(
    r"\.github/|\.gitlab-ci\.ya?ml$|\.gitlab/|\.circleci/|\.buildkite/|Jenkinsfile$|azure-pipelines\.ya?ml$|\.travis\.ya?ml$"
    r"|bitbucket-pipelines\.yml$|appveyor\.yml$|codecov\.ya?ml$|\.codecov\.ya?ml$"
)
_TOOLING = re.compile(
    r"(\.gitignore|\.gitattributes|\.gitkeep|\.editorconfig|\.pre-commit-config\.yaml|\.dockerignore|\.flake8|\.pylintrc|\.prettierrc.*"
    r"|\.eslintrc.*|eslint\.config\.[cm]?[jt]s|tox\.ini|noxfile\.py|pytest\.ini|mypy\.ini|ruff\.toml|\.ruff\.toml|\.coveragerc|Makefile"
    r"|justfile|Justfile|\.mailmap|CODEOWNERS|renovate\.json5?|dependabot\.yml|\.isort\.cfg|\.yamllint.*|\.golangci\.ya?ml|rustfmt\.toml"
    r"|clippy\.toml|jest\.config\..*|vitest\.config\..*|\.nvmrc|py\.typed|.*\.pyi|Taskfile\.ya?ml|MANIFEST\.in|\.git-blame-ignore-revs)"
)
_DOCS = re.compile(
    r".*\.(md|rst|adoc|txt)|LICEN[CS]E.*|COPYING.*|NOTICE.*|AUTHORS.*|CHANGELOG.*|CHANGES.*|CITATION.*|mkdocs\.ya?ml",
    re.I,
)
_CONFIG = re.compile(
    r"(Dockerfile.*|.*\.dockerfile|Containerfile|(docker-)?compose.*\.ya?ml|Procfile|\.env.*|.*\.env|gunicorn.*\.py|uwsgi.*|celeryconfig\.py"
    r"|settings\.py|config\.py|.*\.(ini|cfg|conf|cnf|properties|service|tf|toml|ya?ml|nginx|hcl)|sysctl.*|logging\.json|appsettings.*\.json"
    r"|config.*\.json|settings.*\.json|pm2\..*|ecosystem\.config\.[cm]?js|nginx.*|haproxy.*|Caddyfile|runtime\.txt|\.python-version"
    r"|(entrypoint|start|run|serve|launch)[\w-]*\.sh|(docker-)?entrypoint[\w-]*)"
)
_SETTINGS_DIRS = frozenset({"settings"})
_DATA_DIRS = frozenset({"fixtures", "seeds", "seed", "data", "static", "public", "assets", "media"})
_SERVED_DIRS = frozenset({"static", "public", "assets", "media"})  # sent to browsers, not run here
_DATA = re.compile(
    r".*\.(csv|tsv|parquet|sqlite3?|db|jsonl|ndjson|npy|npz|pkl|gz|zip|png|jpe?g|gif|svg|webp|ico|woff2?|ttf|css|map|avro|arrow|bin|dat|onnx)"
)
_PARSED = re.compile(r".*\.([cm]?jsx?|[cm]?tsx?|go|java|rs)")
_CODE = re.compile(
    r".*\.(c|cc|cpp|cxx|h|hpp|cs|rb|php|kt|kts|scala|swift|ex|exs|erl|clj|lua|pl|hs|ml|dart|sh|bash|proto|graphql|gql|pyx|pxd"
    r"|html?|jinja2?|j2|tmpl|tpl|mustache|hbs|ejs|erb|vue|svelte|wat|zig|nim|cr|vb|fs|groovy)"
)
_EMPTY_DOCS = frozenset({"docs", "doc", "documentation", "examples"})


def role_of(path: str) -> Role:
    """What a file is for. A path that says nothing is TEXT: it counts."""
    pure = PurePosixPath(path)
    name, folders = pure.name, set(pure.parts[:-1])
    for role in (_apart(path, name, folders), _acting(name, folders, pure)):
        if role is not None:
            return role
    return Role.TEXT


def _apart(path: str, name: str, folders: set[str]) -> Role | None:
    """Files that are no part of what runs in the service."""
    if folders & {".perfhunt", "perfhunt-patches"} or name.endswith(
        (".patch", ".diff", ".orig", ".rej")
    ):
        return Role.PERFHUNT
    if name == "perfhunt.toml" or re.fullmatch(r"locustfile.*\.py", name):
        return Role.QUESTION
    if _CI.match(path) or _CI.match(name):
        return Role.CI
    if folders & _TEST_DIRS or _TEST_FILES.fullmatch(name):
        return Role.TESTS
    if _MANIFESTS.fullmatch(name):
        return Role.MANIFEST
    if _TOOLING.fullmatch(name) or folders & {".vscode", ".idea", ".husky", ".devcontainer"}:
        return Role.TOOLING
    if folders & _EMPTY_DOCS or (
        _DOCS.fullmatch(name)
        and not folders & _DATA_DIRS
        and name not in ("runtime.txt", "robots.txt")
    ):
        return Role.DOCS
    return None


def _acting(name: str, folders: set[str], pure: PurePosixPath) -> Role | None:
    """Files that act in the service, by how they do."""
    if pure.suffix == ".sql" or (
        folders & {"migrations", "alembic", "migrate"} and name not in ("__init__.py", "env.py")
    ):
        return Role.SCHEMA
    if _CONFIG.fullmatch(name) and not (
        folders & _DATA_DIRS and pure.suffix in (".yaml", ".yml", ".json")
    ):
        return Role.CONFIG
    if folders & _SETTINGS_DIRS and pure.suffix == ".py" and name != "__init__.py":
        return Role.CONFIG
    if pure.suffix == ".py":
        return Role.PYTHON
    if _PARSED.fullmatch(name) and not folders & _SERVED_DIRS:
        return Role.PARSED
    if _DATA.fullmatch(name) or folders & _DATA_DIRS:
        return Role.DATA
    return Role.TEXT if _CODE.fullmatch(name) or pure.suffix != ".json" else Role.CONFIG
