"""Which packages of a Java program are its own, by its class path and archives."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from perfhunt.analysis.blame.frames import Code, Origin
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.run import Process
from perfhunt.target.code.class_path import java_packages

MAIN = "com/acme/shop/Main.class"
POM = "META-INF/maven/{}/x/pom.properties"


def java(cwd: Path, *words: str) -> Process:
    """A process of ours that stands in for a JVM with that command line."""
    return Process(os.getpid(), 1, 1.0, "", ("java", *words), str(cwd), 0, 1, "jvm", "17")


def archive(path: Path, *names: str, main: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as held:
        if main:
            held.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\n{main}\r\n")
        for name in names:
            held.writestr(name, b"")
    return str(path)


def test_directories_are_the_programs_own_and_archives_beside_them_are_libraries(
    tmp_path: Path,
) -> None:
    for name in ("out/shop/Till.class", "out/shop/store/Shelf.class", "out/Kiosk.class"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    archive(tmp_path / "lib" / "pool.jar", "org/pool/Pool.class")
    for words in (("-cp", "out:lib/pool.jar"), ("--class-path=out:lib/*",)):
        asked = (*words, "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-Xmx1g", "Kiosk")
        assert java_packages(java(tmp_path, *asked)) == ("Kiosk", "shop", "shop.store")


def test_the_archive_that_has_the_main_class_is_the_programs_own(tmp_path: Path) -> None:
    archive(tmp_path / "lib" / "shop.jar", MAIN, "com/acme/shop/web/Page.class")
    archive(tmp_path / "lib" / "pool.jar", "org/pool/Pool.class")
    own = java_packages(java(tmp_path, "-cp", "lib/*", "com.acme.shop.Main", "-cp", "x"))
    assert own == ("com.acme", "com.acme.shop", "com.acme.shop.web")


def test_a_loader_and_the_archives_in_an_archive_are_none_of_it(tmp_path: Path) -> None:
    names = (
        "org/springframework/boot/loader/JarLauncher.class",
        f"BOOT-INF/classes/{MAIN}",
        "BOOT-INF/lib/pool.jar",
    )
    loader = "org.springframework.boot.loader.JarLauncher"
    main = f"Main-Class: {loader}\r\nStart-Class: com.acme.shop.Main"
    archive(tmp_path / "shop.jar", *names, main=main)
    assert java_packages(java(tmp_path, "-jar", "shop.jar")) == ("com.acme", "com.acme.shop")


def test_of_an_archive_into_which_others_were_merged_the_main_class_says_which(
    tmp_path: Path,
) -> None:
    names = (MAIN, "org/pool/Pool.class", POM.format("com.acme"), POM.format("org.pool"))
    archive(tmp_path / "all.jar", *names, main="Main-Class: com.acme.shop.Main")
    assert java_packages(java(tmp_path, "-jar", "all.jar")) == ("com.acme", "com.acme.shop")


@pytest.mark.parametrize("words", [(), ("-version",), ("Nowhere.java",), ("-jar", "gone.jar")])
def test_where_nothing_tells_nothing_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert java_packages(java(tmp_path, *words)) == ()


def test_an_archive_that_is_none_leaves_what_the_main_class_is_called(tmp_path: Path) -> None:
    (tmp_path / "broken.jar").write_bytes(b"PK\x05\x06 no archive")
    assert java_packages(java(tmp_path, "-cp", "broken.jar", "a.b.C")) == ("a.b",)


def test_what_is_in_no_package_of_the_program_is_a_library() -> None:
    def origin(code: Code, function: str) -> Origin:
        return code.origin(Frame(function, "", None, FrameKind.JVM))

    known = Code(("com.acme", "Kiosk"))
    assert origin(known, "com.acme.shop.Till.open") is origin(known, "Kiosk.serve") is Origin.APP
    assert origin(known, "org.pool.Pool.take") is origin(known, "Kiosks.serve") is Origin.LIBRARY
    assert origin(known, "java.lang.Thread.run") is Origin.RUNTIME
    assert origin(Code(), "org.pool.Pool.take") is Origin.APP
