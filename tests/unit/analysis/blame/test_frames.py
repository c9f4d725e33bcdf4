"""Whose code a frame is, and which function a stack belongs to."""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.frames import Code, Origin, modules_of
from perfhunt.model.profile import Frame, FrameKind

APP = "/srv/shop/cart.py"


@pytest.mark.parametrize(
    ("file", "origin"),
    [
        ("/srv/shop/cart.py", Origin.APP),
        ("/home/me/lib/python/shop.py", Origin.APP),
        ("/usr/lib/python3.11/json/encoder.py", Origin.RUNTIME),
        ("/root/.pyenv/versions/3.12.1/lib/python3.12/threading.py", Origin.RUNTIME),
        ("/srv/venv/lib/python3.11/site-packages/flask/app.py", Origin.LIBRARY),
        ("/usr/lib/python3/dist-packages/flask/app.py", Origin.LIBRARY),
        ("<frozen importlib._bootstrap>", Origin.RUNTIME),
        ("<string>", Origin.RUNTIME),
        ("", Origin.RUNTIME),
    ],
)
def test_the_path_says_whose_code_it_is(file: str, origin: Origin) -> None:
    assert Code().origin(Frame("f", file)) is origin


def test_a_stack_belongs_to_its_deepest_application_function_and_names_the_call_on_top() -> None:
    owner = Code().owner(
        (
            Frame("view", APP),
            Frame("price", APP),
            Frame("dumps", "/usr/lib/python3.11/json/__init__.py"),
        )
    )
    assert owner is not None
    assert owner.frame.function == "price"
    assert owner.via == "dumps (json/__init__.py)"


@pytest.mark.parametrize("nameless", ["<listcomp>", "<lambda>", "total.<locals>.<genexpr>"])
def test_code_without_a_name_belongs_to_the_function_that_wrote_it(nameless: str) -> None:
    owner = Code().owner(
        (Frame("view", APP), Frame("total", APP), Frame("sum", "<frozen x>"), Frame(nameless, APP))
    )
    assert owner is not None
    assert owner.frame.function == "total"


def test_an_application_installed_among_libraries_is_known_by_its_command_line() -> None:
    path = "/srv/venv/lib/python3.11/site-packages/shop/views.py"
    modules = modules_of(("/srv/venv/bin/gunicorn", "--bind", "127.0.0.1:8000", "shop.wsgi:app"))
    assert modules == ("shop",)
    assert Code(modules).is_app(Frame("cart", path))
    assert not Code().is_app(Frame("cart", path))


def test_libraries_count_as_the_application_only_when_nothing_else_does() -> None:
    library = (Frame("cart", "/srv/venv/lib/python3.11/site-packages/shop/views.py"),)
    assert Code.of([library]).is_app(library[0])
    assert not Code.of([library, (Frame("main", APP),)]).is_app(library[0])


@pytest.mark.parametrize(
    ("file", "origin"),
    [
        ("/usr/local/go/src/sync/mutex.go", Origin.RUNTIME),
        ("/usr/lib/go-1.19/src/net/http/server.go", Origin.RUNTIME),
        ("sync/mutex.go", Origin.RUNTIME),  # built with -trimpath
        ("runtime/proc.go", Origin.RUNTIME),
        ("/root/go/pkg/mod/github.com/lib/pq@v1.10.9/conn.go", Origin.LIBRARY),
        ("github.com/lib/pq@v1.10.9/conn.go", Origin.LIBRARY),
        ("/srv/shop/main.go", Origin.APP),
        ("./main.go", Origin.APP),
        ("example.com/shop/store/store.go", Origin.APP),
        ("shop/store/store.go", Origin.APP),
    ],
)
def test_go_code_is_told_apart_however_it_was_built(file: str, origin: Origin) -> None:
    assert Code().origin(Frame("f", file, kind=FrameKind.GO)) is origin
