"""Whose code a live process runs, from how it was started: interpreters that do nothing, in trees
of files laid out as installers do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.model.run import Application, Process, TargetProcess
from perfhunt.target.code.application import application_of
from perfhunt.target.code.sources import sources
from perfhunt.target.process import process_of

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
WAIT = "import sys\nprint('up', flush=True)\nsys.stdin.read()\n"


class Place:
    """A virtual environment with two distributions: `shop`, and `server`, which serves what it is
    told to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages = root / "venv/lib" / VERSION / "site-packages"
        self.packages.mkdir(parents=True)
        (root / "venv/bin").mkdir()
        (root / "venv/pyvenv.cfg").write_text(
            f"home = {Path(sys.base_prefix) / 'bin'}\ninclude-system-site-packages = false\n"
        )
        (root / "venv/bin/python").symlink_to(os.path.realpath(sys.executable))
        self.install("shop-web", ("shop/__init__.py", "shop/cli.py", "shop_tables.py"), "shop")
        self.install("server", ("server/__init__.py", "server/__main__.py"), "serve")
        self.install("acme-cart", ("acme/cart/__init__.py", "acme/cart/web.py"), "cart")

    def install(self, name: str, files: tuple[str, ...], script: str) -> None:
        for file in files:
            (self.packages / file).parent.mkdir(parents=True, exist_ok=True)
            (self.packages / file).write_text(WAIT if "__main__" in file else "")
        metadata = self.packages / f"{name.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir()
        records = [*files, f"../../../bin/{script}", f"{metadata.name}/RECORD"]
        (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in records))
        (self.root / "venv/bin" / script).write_text(WAIT)

    @contextmanager
    def started(self, *words: str, **variables: str) -> Iterator[Process]:
        environment: Mapping[str, str] = {"PATH": "/usr/bin:/bin", **variables}
        with subprocess.Popen(
            [str(self.root / "venv/bin/python"), *words],
            cwd=self.root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"up\n"
            process = process_of(child.pid)
            assert process is not None
            yield process
            child.kill()

    def application(self, *words: str, **variables: str) -> Application:
        with self.started(*words, **variables) as process:
            return application_of([process])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_command_belongs_to_the_distribution_that_installed_it(place: Place) -> None:
    launcher = str(place.root / "venv/bin/shop")
    found = place.application(launcher, "--port", "80")
    assert found == Application(entry=("shop", "shop_tables"), launchers=(launcher,))


def test_a_package_within_a_namespace_is_named_in_full(place: Place) -> None:
    assert place.application("venv/bin/cart").entry == ("acme.cart",)


def test_a_module_that_is_run_belongs_to_its_distribution(place: Place) -> None:
    assert place.application("-m", "server").entry == ("server",)


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "server", "shop.cli:app"),
        ("-X", "utf8", "-m", "server", "--bind", "localhost:http", "shop.cli:create('test')"),
        ("venv/bin/serve", "--app", "shop.cli", "run"),
        ("venv/bin/serve", "--app=shop.cli:app"),
    ],
)
def test_what_is_served_by_name_is_the_application_and_the_server_is_not(
    place: Place, words: tuple[str, ...]
) -> None:
    found = place.application(*words)
    assert (found.modules, found.entry) == (("shop", "shop_tables"), ())


@pytest.mark.parametrize("name", ["FLASK_APP", "DJANGO_SETTINGS_MODULE"])
def test_the_environment_may_name_the_application(place: Place, name: str) -> None:
    found = place.application("venv/bin/serve", **{name: "acme.cart.web"})
    assert (found.modules, found.entry) == (("acme.cart",), ())


def test_a_file_of_the_users_own_that_is_served_makes_the_server_none_of_theirs(
    place: Place,
) -> None:
    (place.root / "mine.py").write_text("")
    assert place.application("venv/bin/serve", "mine:app").entry == ()
    assert place.application("venv/bin/serve", "run", "mine.py").entry == ()


def test_a_word_that_only_looks_like_an_application_names_none(place: Place) -> None:
    found = place.application("venv/bin/shop", "--auth", "root:secret")
    assert (found.modules, found.entry) == ((), ("shop", "shop_tables"))


def test_a_directory_that_is_put_on_the_path_holds_the_application(place: Place) -> None:
    (place.root / "src").mkdir()
    (place.root / "src/mine.py").write_text("")
    assert place.application("venv/bin/serve", "--chdir", "src", "mine:app").entry == ()
    assert place.application("venv/bin/serve", "mine:app", PYTHONPATH="src").entry == ()
    (place.packages / "__editable__.mine.pth").write_text(f"{place.root / 'src'}\n")
    assert place.application("venv/bin/serve", "mine:app").entry == ()


def test_a_script_of_the_users_own_belongs_to_no_distribution(place: Place) -> None:
    (place.root / "serve.py").write_text(WAIT)
    assert place.application("serve.py") == Application()


def test_a_zip_holds_the_application_and_what_was_installed_into_it(place: Place) -> None:
    archive = place.root / "mine.pyz"
    with zipfile.ZipFile(archive, "w") as held:
        held.writestr("__main__.py", f"import mine.cli\n{WAIT}")
        held.writestr("mine/__init__.py", "")
        held.writestr("mine/cli.py", "")
        held.writestr("lib/__init__.py", "")
        held.writestr("lib-1.0.dist-info/RECORD", "lib/__init__.py,,\nlib-1.0.dist-info/RECORD,,\n")
    assert place.application("mine.pyz") == Application(libraries=(f"{archive}/lib",))


def test_the_texts_of_files_are_those_that_run(place: Place) -> None:
    (place.root / "serve.py").write_text(WAIT)
    old, new = place.root / "serve.py", place.root / "new.py"
    with zipfile.ZipFile(place.root / "old.pyz", "w") as held:
        held.writestr("mine/cli.py", "y = 2\n")
    inside = f"{place.root}/old.pyz/mine/cli.py"
    with place.started("serve.py") as process:
        new.write_text("x = 1\n")
        os.utime(old, (time.time() - 60,) * 2)
        os.utime(place.root / "old.pyz", (time.time() - 60,) * 2)
        os.utime(new, (time.time() + 60,) * 2)
        target = TargetProcess(
            root=process.pid,
            processes=(process,),
            listeners=(),
            workers=(process.pid,),
            runtime="cpython",
            runtime_version="",
        )
        absent = ("/nowhere.py", "relative.py", f"{old}/within.py", f"{inside}x")
        found = sources(target, [str(old), str(new), inside, *absent])
    assert found == {str(old): WAIT, inside: "y = 2\n"}
