"""Readers of manifests, settings, SQL and paths; what each file says was written down by hand."""
# ruff: noqa: E501  (other projects' lines, as they are)

import json

import pytest

from perfhunt.analysis.change.one_change import pieces_of
from perfhunt.change.paths import Role, role_of
from perfhunt.change.readers.packages.atoms import package_atoms
from perfhunt.change.readers.packages.manifests import ManifestError, read_manifest
from perfhunt.change.readers.schema.atoms import schema_atoms
from perfhunt.change.readers.schema.sql import read_statements
from perfhunt.change.readers.settings.atoms import settings_atoms
from perfhunt.change.readers.settings.forms import plain_name, read_settings
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.change.readers.treesitter import atoms as treesitter_atoms
from perfhunt.model.verdict.change import Edit


def versions(path: str, text: str) -> dict[str, str]:
    return {n: p.version for n, p in read_manifest(path, text).packages.items()}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "requirements.txt",
            "# c\n-r base.txt\nFlask_Login[x]==1.0 ; python_version > '3'\nredis>=4,<5\n",
            {"flask-login": '[x]==1.0; python_version > "3"', "redis": "<5,>=4"},
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
            "setup.cfg",
            "[metadata]\nname = x\n[options]\ninstall_requires =\n    a>=1\n    b\n",
            {"a": ">=1", "b": ""},
        ),
        (
            "requirements.txt",
            "git+https://host/a@v1#egg=a\n",
            {"git+https://host/a": "v1#egg=a"},
        ),
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
            {"a.b": ("1",), "a.list[x].name": ("x",), "a.list[x].size": ("2",)},
        ),
        ("a.yml", "env:\n  - WORKERS=4\n", {"env.WORKERS": ("4",)}),
        (
            "a.yml",
            "a: &x {b: 1}\nc: *x\nd: |\n  one\n  two\n",
            {"a.b": ("1",), "c.b": ("1",), "d": ("one two",)},
        ),
        (
            "a.yml",
            "command: [gunicorn, -w, '4', app]\n",
            {"command -w": ("4",), "command": ("gunicorn app",)},
        ),
        ("a.toml", "[a]\nb = 1\n", {"a.b": ("1",)}),
        (
            "nginx.conf",
            "http { # c\n  gzip on;\n  server {\n    listen 80;\n  }\n}\n",
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
        ("CREATE TABLE `t` (`a` int AUTO_INCREMENT) ENGINE=InnoDB;", ["create table t"]),
        ("ALTER TABLE [dbo].[t] ADD a INT NULL;", ["alter table dbo.t"]),
        ("CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()", ["create trigger x"]),
    ],
)
def test_sql_is_cut_into_statements(text: str, titles: list[str]) -> None:
    assert [s.title for s in read_statements(text)[0]] == titles


def test_an_index_uses_the_column_that_the_same_script_adds() -> None:
    script = "ALTER TABLE t ADD COLUMN a int, DROP COLUMN b; CREATE INDEX i ON t (a);"
    table, index = read_statements(script)[0]
    assert set(table.links.defines) == {"column:t.a", "column:t.b"}
    assert "column:t.a" in index.links.uses


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SELECT a FROM t;", "-- all of them\nselect  a\n  from t;\n"),
        ("CREATE INDEX i ON t (a, b);", "CREATE INDEX i\n  ON t (a, /* and */ b);"),
        ("CREATE TABLE a (x int);", "CREATE TABLE a (x int);\n-- +goose Down\nDROP TABLE a;"),
        ("this is ( no sql", "this  is -- really\n( no sql"),
    ],
)
def test_layout_and_comments_of_sql_are_no_change(before: str, after: str) -> None:
    found = schema_atoms(FileTexts("q.sql", before, after))
    assert (found.atoms, len(found.ignored)) == ((), 1)


def test_sql_of_no_known_dialect_is_one_atom_and_the_note_says_so() -> None:
    found = schema_atoms(FileTexts("q.sql", "SELECT {{ a }} FROM ( t", "SELECT {{ b }} FROM ( u"))
    assert [str(atom) for atom in found.atoms] == ["schema  q.sql  changed"]
    assert "q.sql does not parse" in found.notes[0]
    assert "the whole file counts as one edit" in found.notes[0]


def packages_edited(present: tuple[str, ...] = (), **texts: tuple[str, str]) -> FileAtoms:
    files = [FileTexts(path, *sides) for path, sides in texts.items()]
    return package_atoms(files, {*texts, *present})


def rulings(found: FileAtoms) -> int:
    return len(pieces_of(found.atoms))


GEMS = ("gem 'rails', '7.0'\ngem 'pg', '1.4'\n", "gem 'rails', '7.1'\ngem 'pg', '1.5'\n")


def test_two_gems_bumped_are_one_edit_and_the_note_says_that_nothing_in_it_was_read() -> None:
    found = packages_edited(Gemfile=GEMS)
    assert [atom.name for atom in found.atoms] == ["Gemfile"]
    assert found.notes == ("Gemfile is not read into packages; the whole file counts as one edit",)


@pytest.mark.parametrize(
    ("manifest", "lock"),
    [
        ("Gemfile", "Gemfile.lock"),
        ("build.gradle", "gradle.lockfile"),
        ("build.gradle.kts", "gradle.lockfile"),
    ],
)
def test_a_manifest_that_is_not_read_is_one_change_with_its_lock(manifest: str, lock: str) -> None:
    found = packages_edited(**{lock: ("a 1\n", "a 2\n"), manifest: ("a 1\n", "a 2\n")})
    assert (len(found.atoms), rulings(found)) == (2, 1)


def npm(**versions: str) -> str:
    return json.dumps({"dependencies": versions})


@pytest.mark.parametrize("lock", ["yarn.lock", "pnpm-lock.yaml"])
@pytest.mark.parametrize(
    ("after", "pieces"), [(npm(pg="9", express="4"), 1), (npm(pg="9", express="5"), 2)]
)
def test_a_lock_that_is_not_read_goes_with_the_package_that_moved_it(
    lock: str, after: str, pieces: int
) -> None:
    manifest = (npm(pg="8", express="4"), after)
    found = packages_edited(**{lock: ("x", "y"), "package.json": manifest})
    assert rulings(found) == pieces
    assert lock in found.notes[0]


@pytest.mark.parametrize("path", ["Gemfile", "yarn.lock", "environment.yml", "build.gradle"])
def test_a_comment_in_a_package_file_that_is_not_read_is_no_change(path: str) -> None:
    remark = "//" if path.endswith("gradle") else "#"
    found = packages_edited(**{path: ("a 1\n", f"{remark} pinned\n\na 1\n")})
    assert (found.atoms, found.notes) == ((), ())


def test_another_extra_of_a_requirement_is_a_change() -> None:
    found = packages_edited(**{"requirements.txt": ("uvicorn==1\n", "uvicorn[standard]==1\n")})
    assert [atom.name for atom in found.atoms] == ["uvicorn"]


def test_a_sidecar_added_before_another_container_is_one_block() -> None:
    web = "  - name: web\n    image: web:1\n    cpu: 1\n"
    log = "  - name: log\n    image: log:1\n    cpu: 1\n"
    found = settings_atoms(FileTexts("k.yaml", f"pods:\n{web}", f"pods:\n{log}{web}"))
    assert [(atom.name, atom.edit) for atom in found.atoms] == [("pods[log]", Edit.ADDED)]


def test_two_settings_of_a_template_of_yaml_are_two() -> None:
    chart = "spec:\n{{- if .Values.web }}\n  replicas: 2\n{{- end }}\n  - cpu: 500m\n"
    edited = chart.replace("2", "4").replace("500m", "900m")
    found = settings_atoms(FileTexts("templates/web.yaml", chart, edited))
    assert ([atom.name for atom in found.atoms], found.notes) == (["replicas", "cpu"], ())


def test_yaml_that_copies_itself_without_end_is_one_atom() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
    )
    found = settings_atoms(FileTexts("k.yaml", "a: 1\n", bomb))
    assert (len(found.atoms), "whole file counts as one edit" in found.notes[0]) == (1, True)


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
