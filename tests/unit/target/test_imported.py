"""The rest of an application, found from the files of it that were met and from its command."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.model.run import TargetProcess
from perfhunt.target.code import imported as module
from perfhunt.target.code.imported import imported
from perfhunt.target.process import process_of

A_DAY = 86_400.0  # seconds


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    def write(**files: str) -> Path:
        for name, content in files.items():
            path = tmp_path / f"{name.replace('_in_', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            os.utime(path, (time.time() - A_DAY,) * 2)  # older than this process
        return tmp_path

    return write


def target(root: Path, *words: str) -> TargetProcess:
    """This very process, as if it had been started there by these words."""
    itself = process_of(os.getpid())
    assert itself is not None
    process = replace(itself, cmdline=("python", *words), cwd=str(root))
    return TargetProcess(
        root=process.pid,
        processes=(process,),
        listeners=(),
        workers=(process.pid,),
        runtime="cpython",
        runtime_version="",
    )


def found(root: Path, known: str, *words: str) -> dict[str, str | None]:
    """By the path below the root, without the suffix."""
    path = root / f"{known}.py"
    texts = imported(target(root, *words), {str(path): path.read_text()}, lambda _: True)
    return {str(Path(p).relative_to(root).with_suffix("")): t for p, t in texts.items()}


def test_imports_are_followed_in_all_their_forms(shop: Callable[..., Path]) -> None:
    root = shop(
        app="import a\nfrom b import x\nimport p.q\nfrom p import r\nimport os, flask",
        a="import c",
        b="",
        c="def later():\n    import d",
        d="",
        p_in___init__="from .s import y",
        p_in_q="",
        p_in_r="from . import t",
        p_in_s="",
        p_in_t="",
        unused="",
    )
    names = {"a", "b", "c", "d", "p/__init__", "p/q", "p/r", "p/s", "p/t"}
    assert {*found(root, "app")} == names


def test_what_settings_and_the_command_name_is_imported(shop: Callable[..., Path]) -> None:
    root = shop(
        shop_in___init__="",
        shop_in_views="",
        shop_in_wsgi="os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
        shop_in_settings="MIDDLEWARE = ['shop.middleware.RateLimit']",
        shop_in_middleware="LIMIT = 3",
        shop_in_tests="",
    )
    texts = found(root, "shop/views", "gunicorn", "shop.wsgi:application")
    assert {*texts} == {"shop/__init__", "shop/wsgi", "shop/settings", "shop/middleware"}
    assert texts["shop/middleware"] == "LIMIT = 3" and texts["shop/__init__"] == ""
    assert "shop/wsgi" in found(root, "shop/views", "gunicorn: worker [shop.wsgi:application]")


def test_what_is_not_the_applications_is_left_out(shop: Callable[..., Path]) -> None:
    root = shop(app="import a, lib", a="", lib="import inside", inside="")
    known = {str(root / "app.py"): "import a, lib"}
    texts = imported(target(root), known, lambda path: not path.endswith("lib.py"))
    assert {Path(path).stem for path in texts} == {"a"}


def test_a_file_that_was_written_to_since_is_said_to_be_unread(shop: Callable[..., Path]) -> None:
    root = shop(app="import a, b", a="x = 1", b="x = 2")
    os.utime(root / "b.py")
    assert found(root, "app") == {"a": "x = 1", "b": None}


def test_so_many_files_are_read_and_the_rest_said_to_be_unread(
    shop: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    root = shop(app="import a, b", a="x = 1", b="x = 2")
    assert sorted(map(str, found(root, "app").values())) == ["None", "x = 1"]
