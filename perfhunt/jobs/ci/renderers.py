"""Pictures as PNG, for chat and for what shows no SVG, by whichever renderer is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from perfhunt.model.units import Bytes, Seconds
from perfhunt.reports.ci.pictures import size, still

# A cold browser takes seconds to its first picture on a busy host.
WITHIN: Seconds = 60.0
# Of one picture; a flame graph of 1,200 pixels has a tenth of that.
LARGEST: Bytes = 16 << 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_CAIRO = (
    "import sys, cairosvg;"
    " cairosvg.svg2png(bytestring=sys.stdin.buffer.read(), write_to=sys.stdout.buffer)"
)
PngRenderer: TypeAlias = Callable[[str], bytes]


def renderer() -> PngRenderer | None:
    """What makes a PNG of an SVG's text here: rsvg-convert, CairoSVG, or a headless Chromium; None
    without any. It raises OSError when it made none.
    """
    if shutil.which("rsvg-convert"):
        return _by_rsvg
    if find_spec("cairosvg") is not None:
        return _by_cairo
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    return None if browser is None else lambda picture: _by_browser(browser, picture)


def as_png(pictures: Mapping[str, str]) -> tuple[dict[str, bytes], dict[str, str]]:
    """The PNG of each SVG by its file name, and why those that could not be made could not; nothing
    of either where nothing renders here.
    """
    made: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    if (render := renderer()) is None:
        return made, refused
    for name, picture in pictures.items():
        png = f"{name.removesuffix('.svg')}.png"
        try:
            made[png] = render(still(picture))
        except (OSError, subprocess.SubprocessError) as error:
            refused[png] = f"{png} could not be made ({error})"
    return made, refused


def _by_rsvg(picture: str) -> bytes:
    return _checked(["rsvg-convert"], picture)


def _by_cairo(picture: str) -> bytes:
    """In a process of its own: what it cannot read takes no run with it."""
    return _checked([sys.executable, "-P", "-c", _CAIRO], picture)


def _by_browser(browser: str, picture: str) -> bytes:
    """A browser's shot of the file."""
    with tempfile.TemporaryDirectory(prefix="perfhunt-png-") as home:
        page, shot = Path(home, "picture.svg"), Path(home, "picture.png")
        page.write_text(picture, encoding="utf-8")
        width, height = size(picture)
        flags = (
            *("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            f"--user-data-dir={home}/profile",
            *(f"--window-size={width},{height}", f"--screenshot={shot}"),
            # Root has no sandbox in a browser; what is shown is our own file.
            *(("--no-sandbox",) if os.geteuid() == 0 else ()),
        )
        _run([browser, *flags, page.as_uri()], "")
        with open(shot, "rb") as file:
            return _png(file.read(LARGEST + 1))


def _checked(command: list[str], picture: str) -> bytes:
    return _png(_run(command, picture))


def _run(command: list[str], given: str) -> bytes:
    done = subprocess.run(
        command, input=given.encode(), capture_output=True, timeout=WITHIN, check=True
    )
    return done.stdout


def _png(raw: bytes) -> bytes:
    """The bytes, where they are a PNG of a size that a page takes. Raises OSError."""
    if not raw.startswith(b"\x89PNG") or len(raw) > LARGEST:
        raise OSError("the renderer made no PNG")
    return raw
