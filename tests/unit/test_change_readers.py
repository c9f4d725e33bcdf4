"""Readers of manifests, settings, SQL and paths; what each file says was written down by hand."""
# ruff: noqa: E501  (other projects' lines, as they are)

import pytest

from perfhunt.change.paths import Role, role_of
from perfhunt.change.readers.packages.manifests import ManifestError, read_manifest
from perfhunt.change.readers.schema.sql import statements
from perfhunt.change.readers.settings.forms import plain_name, read_settings
from perfhunt.change.readers.texts import FileTexts
from perfhunt.change.readers.treesitter import atoms as treesitter_atoms


def versions(path: str, text: str) -> dict[str, str]:
    return {n: p.version for n, p in read_manifest(path, text).packages.items()}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "requirements.txt",
            "# c\n-r base.txt\nFlask_Login[x]==1.0 ; python_version > '3'\nredis>=4,<5\n",
            {"flask-login": "1.0;python_version>'3'", "redis": ">=4,<5"},
        ),
        (
            "requirements.txt",
            "a==1 \\\n    --hash=sha256:00\n    # via b\nb==2\n",
            {"a": "1", "b": "2"},
        ),
        (
            "pyproject.toml",
            "[project]\ndependencies = ['a>=1']\n[tool.poetry.dependencies]\npython = '^3'\nb = '^2'\n",
            {"a": ">=1", "b": "^2"},
        ),
        (
            "poetry.lock",
            "[[package]]\nname = 'a'\nversion = '1'\n[package.dependencies]\nb = '*'\n[[package]]\nname = 'b'\nversion = '2'\n",
            {"a": "1", "b": "2"},
        ),
        ("Pipfile.lock", '{"default": {"a": {"version": "==1"}}, "develop": {}}', {"a": "1"}),
        (
            "package-lock.json",
            '{"packages": {"": {}, "node_modules/@x/a": {"version": "1"}, "node_modules/b/node_modules/@x/a": {"version": "2"}}}',
            {"@x/a": "1, 2"},
        ),
        (
            "yarn.lock",
            '# v1\n"a@^1.0", a@~1.0:\n  version "1.2"\n  dependencies:\n    b "^2"\n\nb@^2:\n  version "2.0"\n',
            {"a": "1.2", "b": "2.0"},
        ),
        (
            "go.mod",
            "module x\n\ngo 1.22\n\nrequire github.com/a/b v1.0.0\nrequire (\n\tgithub.com/c/d v2.0.0 // indirect\n)\n",
            {"github.com/a/b": "v1.0.0", "github.com/c/d": "v2.0.0"},
        ),
        (
            "Cargo.lock",
            "version = 3\n[[package]]\nname = 'a'\nversion = '1'\ndependencies = ['b 2']\n",
            {"a": "1"},
        ),
        ("setup.py", "setup(name='x', install_requires=['a>=1', 'b'])\n", {"a": ">=1", "b": ""}),
        (
            "Gemfile.lock",
            "GEM\n  specs:\n    rails (7.0)\n      rack (>= 2)\n    rack (2.2)\n",
            {"rails": "7.0", "rack": "2.2"},
        ),
        ("build.gradle", "dependencies {\n  implementation 'a:b:1.0'\n}\n", {"a:b": "1.0"}),
        ("environment.yml", "dependencies:\n  - numpy=1.26\n", {"numpy": "=1.26"}),
    ],
)
def test_a_manifest_says_its_versions(path: str, text: str, expected: dict[str, str]) -> None:
    assert versions(path, text) == expected


def test_pip_compile_comments_say_who_needs_a_package() -> None:
    text = "click==8\n    # via\n    #   flask\n    #   typer\nflask==3\n    # via -r requirements.in\ntyper==1\n"
    packages = read_manifest("requirements.txt", text).packages
    assert (packages["flask"].needs, packages["typer"].needs) == (("click",), ("click",))


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "package.json", "poetry.lock", "pom.xml", "Cargo.toml"]
)
def test_a_broken_manifest_is_an_error_that_names_the_file(path: str) -> None:
    with pytest.raises(ManifestError, match=path):
        read_manifest(path, "{ not this")


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".env", "# c\nexport A=1\nB='x y'\n", {"A": ("1",), "B": ("'x y'",)}),
        ("app.ini", "[web]\nworkers = 4 ; c\n", {"web.workers": ("4",)}),
        (
            "a.yaml",
            "a:\n  b: 1  # c\n  list:\n    - name: x\n      size: 2\n",
            {"a.b": ("1",), "a.list.name": ("x",), "a.list.size": ("2",)},
        ),
        ("a.yml", "env:\n  - WORKERS=4\n", {"env.WORKERS": ("4",)}),
        ("a.toml", "[a]\nb = 1\n", {"a.b": ("1",)}),
        (
            "nginx.conf",
            "http { # c\n gzip on;\n server { listen 80; } }\n",
            {"http/gzip": ("on",), "http/server/listen": ("80",)},
        ),
        (
            "Dockerfile",
            "# c\nFROM a\nENV X=1 Y=2\nCMD gunicorn -w 4 \\\n  --timeout=9 app\n",
            {
                "FROM": ("a",),
                "ENV X": ("1",),
                "ENV Y": ("2",),
                "CMD -w": ("4",),
                "CMD --timeout": ("9",),
                "CMD": ("gunicorn app",),
            },
        ),
        (
            "Procfile",
            "web: gunicorn --workers 4 app\n",
            {"web --workers": ("4",), "web": ("gunicorn app",)},
        ),
    ],
)
def test_a_configuration_file_as_flat_settings(
    path: str, text: str, expected: dict[str, tuple[str, ...]]
) -> None:
    assert read_settings(path, text) == expected


def test_one_setting_has_one_plain_name_however_it_is_written() -> None:
    names = (
        "CMD --workers",
        "CMD -w",
        "services.web.environment.WORKERS",
        "workers",
        "web.workers",
    )
    assert {plain_name(n) for n in names} == {"workers"}


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON public.t (a, lower(b));",
            ["index i on public.t"],
        ),
        (
            "-- x; y\nDROP INDEX i; /* z; */ ALTER TABLE t ADD COLUMN a TEXT DEFAULT 'a;b';",
            ["drop index i", "alter table t"],
        ),
        (
            "CREATE FUNCTION f() RETURNS int AS $$ BEGIN; RETURN 1; END; $$ LANGUAGE plpgsql;",
            ["create function f"],
        ),
        ("CREATE TABLE a (x int);\n-- +goose Down\nDROP TABLE a;", ["create table a"]),
        ("UPDATE t SET a = 1; INSERT INTO u VALUES (1)", ["update t", "insert into u"]),
    ],
)
def test_sql_is_cut_into_statements(text: str, titles: list[str]) -> None:
    assert [s.title for s in statements(text)] == titles


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("shop/app.py", Role.PYTHON),
        ("shop/tests/test_app.py", Role.TESTS),
        ("conftest.py", Role.TESTS),
        ("docs/conf.py", Role.DOCS),
        ("README.md", Role.DOCS),
        (".github/workflows/ci.yml", Role.CI),
        ("Makefile", Role.TOOLING),
        (".perfhunt/runs/x.json", Role.PERFHUNT),
        ("perfhunt.toml", Role.QUESTION),
        ("locustfile.py", Role.QUESTION),
        ("requirements.txt", Role.MANIFEST),
        ("a/b/go.mod", Role.MANIFEST),
        ("db/schema.sql", Role.SCHEMA),
        ("shop/migrations/0002_x.py", Role.SCHEMA),
        ("Dockerfile", Role.CONFIG),
        ("deploy/nginx.conf", Role.CONFIG),
        ("gunicorn.conf.py", Role.CONFIG),
        ("shop/settings/prod.py", Role.CONFIG),
        ("k8s/web.yaml", Role.CONFIG),
        (".env.local", Role.CONFIG),
        ("fixtures/items.json", Role.DATA),
        ("static/logo.png", Role.DATA),
        ("data/rates.csv", Role.DATA),
        ("app/data/repo.py", Role.PYTHON),
        ("src/app.ts", Role.PARSED),
        ("src/app.test.ts", Role.TESTS),
        ("store/store_test.go", Role.TESTS),
        ("lib/a.rb", Role.TEXT),
        ("templates/a.html", Role.TEXT),
        ("static/app.js", Role.DATA),
        ("start.sh", Role.CONFIG),
        ("src/test/java/ATest.java", Role.TESTS),
    ],
)
def test_what_a_file_is_for(path: str, role: Role) -> None:
    assert role_of(path) == role


def test_without_a_grammar_a_file_is_one_edit_and_the_note_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(treesitter_atoms, "parser_of", lambda grammar: None)
    found = treesitter_atoms.treesitter_atoms((FileTexts("a.go", "package a\n", "package b\n"),))
    assert [a.name for a in found.atoms] == ["module-level text"]
    assert "perfhunt[langs]" in found.notes[0]
