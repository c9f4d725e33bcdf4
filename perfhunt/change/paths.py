"""What a file is for, told from its path: which edits count, and through what they act."""

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
    r"requirements[\w.-]*\.(txt|in)|constraints[\w.-]*\.txt|pyproject\.toml|setup\.(py|cfg)"
    r"|(poetry|uv|pdm)\.lock|Pipfile(\.lock)?|environment\.ya?ml|package(-lock)?\.json"
    r"|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|go\.(mod|sum)|Cargo\.(toml|lock)|pom\.xml"
    r"|build\.gradle(\.kts)?|gradle\.lockfile|Gemfile(\.lock)?"
)
_TEST_FOLDERS = frozenset(
    {
        *("tests", "test", "testing", "__tests__", "spec", "e2e", "testdata"),
        *("benchmarks", "bench", "benches"),
    }
)
_TESTS = re.compile(
    r"test_.*\.py|.*_test\.(py|go)|conftest\.py|tests\.py|.*\.(test|spec)\.[cm]?[jt]sx?"
    r"|.*(Test|Tests|IT)\.java"
)
_CI = re.compile(
    r"\.(github|gitlab|circleci|buildkite)/|(\.gitlab-ci|\.travis|azure-pipelines)\.ya?ml$"
    r"|(bitbucket-pipelines|appveyor)\.yml$|\.?codecov\.ya?ml$|Jenkinsfile$"
)
_TOOLING_FOLDERS = frozenset({".vscode", ".idea", ".husky", ".devcontainer"})
_TOOLING = re.compile(
    r"\.git(ignore|attributes|keep|-blame-ignore-revs)|\.editorconfig|\.pre-commit-config\.yaml"
    r"|\.dockerignore|\.(flake8|pylintrc|coveragerc|isort\.cfg)|(mypy|pytest|tox)\.ini|noxfile\.py"
    r"|\.?ruff\.toml|\.prettierrc.*|\.eslintrc.*|eslint\.config\.[cm]?[jt]s"
    r"|(jest|vitest)\.config\..*|\.nvmrc|(rustfmt|clippy)\.toml|\.golangci\.ya?ml|\.yamllint.*"
    r"|Makefile|[jJ]ustfile|Taskfile\.ya?ml|\.mailmap|CODEOWNERS|renovate\.json5?|dependabot\.yml"
    r"|MANIFEST\.in|py\.typed|.*\.pyi"
)
_DOCS_FOLDERS = frozenset({"docs", "doc", "documentation", "examples"})
_DOCS = re.compile(
    r".*\.(md|rst|adoc|txt)|(LICEN[CS]E|COPYING|NOTICE|AUTHORS|CHANGELOG|CHANGES|CITATION).*"
    r"|mkdocs\.ya?ml",
    re.I,
)
_NO_DOCS = ("runtime.txt", "robots.txt")
_CONFIG = re.compile(
    r"Dockerfile.*|.*\.dockerfile|Containerfile|(docker-)?compose.*\.ya?ml|Procfile|Caddyfile"
    r"|(gunicorn|uwsgi).*\.py|uwsgi.*|celeryconfig\.py|(settings|config)\.py|pm2\..*"
    r"|ecosystem\.config\.[cm]?js|(nginx|haproxy|sysctl|\.env).*|runtime\.txt|\.python-version"
    r"|.*\.(env|ini|cfg|conf|cnf|properties|service|tf|toml|ya?ml|nginx|hcl)"
    r"|(logging|appsettings.*|config.*|settings.*)\.json"
    r"|(entrypoint|start|run|serve|launch)[\w-]*\.sh|(docker-)?entrypoint[\w-]*"
)
_SERVED_FOLDERS = frozenset({"static", "public", "assets", "media"})  # to browsers: not run here
_DATA_FOLDERS = _SERVED_FOLDERS | {"fixtures", "seeds", "seed", "data"}
_DATA = re.compile(
    r".*\.(csv|tsv|parquet|sqlite3?|db|jsonl|ndjson|npy|npz|pkl|gz|zip|png|jpe?g|gif|svg|webp|ico"
    r"|woff2?|ttf|css|map|avro|arrow|bin|dat|onnx)"
)
_MIGRATION_FOLDERS = frozenset({"migrations", "alembic", "migrate"})
_PARSED = re.compile(r".*\.([cm]?jsx?|[cm]?tsx?|go|java|rs)")

# Files that keep secrets by convention: one that git does not know is nobody's edit until it does.
_SECRETS = re.compile(
    r"\.env(\..+)?|.+\.env|\.(netrc|pgpass|npmrc|pypirc|htpasswd|git-credentials|my\.cnf)"
    r"|id_(rsa|dsa|ecdsa|ed25519).*|.+\.(pem|key|p12|pfx|jks|keystore|kdbx|gpg|asc|age|ppk|tfstate"
    r"|tfvars|ovpn|p8|kubeconfig)|\.(envrc|dockercfg|s3cfg|boto|vault[-_]?(pass|token)|yarnrc\.yml)"
    r"|_netrc|auth\.json|service[-_]account([-_.].*)?"
    # A word of the name, with what is written around it: gha-creds-12.json, client_secret_9.a.json.
    r"|(.*[-_.])?(credentials?|creds|secrets?|passw(or)?ds?|passphrase|tokens?|api[-_]?keys?"
    r"|private[-_]?keys?|(service|gcp|gcloud|aws|azure|account)[-_]?keys?|kubeconfig|cookies)"
    r"([-_.].*)?",
    re.I,
)
_SECRET_FOLDERS = frozenset({"secrets", "secret", ".aws", ".ssh", ".gnupg", ".kube", ".docker"})
_TEMPLATES = re.compile(r".*[.-](example|sample|template|dist|tpl)", re.I)
_CODE = re.compile(
    r".+\.(py|[cm]?[jt]sx?|go|java|rs|rb|php|kt|cs|c|h|cc|cpp"
    r"|html?|jinja2?|erb|ejs|hbs|vue|svelte|s?css|graphql|proto)"
)


def may_hold_secrets(path: str) -> bool:
    """Whether a file's name says that it keeps secrets; code and templates do not."""
    pure = PurePosixPath(path)
    if _TEMPLATES.fullmatch(pure.name) or _CODE.fullmatch(pure.name):
        return False
    return bool(_SECRETS.fullmatch(pure.name) or _SECRET_FOLDERS.intersection(pure.parts[:-1]))


def role_of(path: str) -> Role:
    """What a file is for. A path that says nothing is TEXT: it counts."""
    pure = PurePosixPath(path)
    name, folders = pure.name, set(pure.parts[:-1])
    return _apart(path, name, folders) or _acting(name, folders, pure.suffix)


def _apart(path: str, name: str, folders: set[str]) -> Role | None:
    """Files that are no part of what runs in the service, and manifests."""
    ours = name.endswith((".patch", ".diff", ".orig", ".rej"))
    if ours or folders & {".perfhunt", "perfhunt-patches"}:
        return Role.PERFHUNT
    if name == "perfhunt.toml" or re.fullmatch(r"locustfile.*\.py", name):
        return Role.QUESTION
    if _CI.match(path) or _CI.match(name):
        return Role.CI
    if folders & _TEST_FOLDERS or _TESTS.fullmatch(name):
        return Role.TESTS
    if _MANIFESTS.fullmatch(name):
        return Role.MANIFEST
    if folders & _TOOLING_FOLDERS or _TOOLING.fullmatch(name):
        return Role.TOOLING
    written = _DOCS.fullmatch(name) and not folders & _DATA_FOLDERS and name not in _NO_DOCS
    return Role.DOCS if written or folders & _DOCS_FOLDERS else None


def _acting(name: str, folders: set[str], suffix: str) -> Role:
    """Files that act in the service, by how they do."""
    migration = folders & _MIGRATION_FOLDERS and name not in ("__init__.py", "env.py")
    if suffix == ".sql" or migration:
        return Role.SCHEMA
    data = folders & _DATA_FOLDERS and suffix in (".yaml", ".yml", ".json")
    if _CONFIG.fullmatch(name) and not data:
        return Role.CONFIG
    if suffix == ".py":
        in_settings = "settings" in folders and name != "__init__.py"
        return Role.CONFIG if in_settings else Role.PYTHON
    if _PARSED.fullmatch(name) and not folders & _SERVED_FOLDERS:
        return Role.PARSED
    if _DATA.fullmatch(name) or folders & _DATA_FOLDERS:
        return Role.DATA
    return Role.CONFIG if suffix == ".json" else Role.TEXT
