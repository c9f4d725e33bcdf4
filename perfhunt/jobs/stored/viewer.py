"""Pages of a stored run for the browser: its report, or its profile in the installed speedscope
viewer (an npm package), which needs no network.
"""

from __future__ import annotations

import base64
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import StoreError, UsageError
from perfhunt.model.units import Seconds
from perfhunt.reports.format import FORMATS
from perfhunt.store.files import regular_bytes
from perfhunt.store.listing import find
from perfhunt.target.host.environment import printed

RELEASE = Path("speedscope") / "dist" / "release"
# A cold npm takes seconds to say where its packages are.
NPM_WITHIN: Seconds = 20.0
_INSTALL = (
    "npm install --global speedscope; or drop the file on https://www.speedscope.app, which reads"
    " it in the browser"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A file of a run, and the address a browser opens to show it."""

    path: Path
    address: str


def report_page(run: str, store: Path) -> Page:
    """The run's HTML report. Raises UsageError, StoreError."""
    path = _stored(run, store, "html")
    return Page(path, path.resolve().as_uri())


def speedscope_page(run: str, store: Path) -> Page:
    """The run's profile in speedscope. Raises UsageError when the viewer is not installed."""
    path = _stored(run, store, "speedscope")
    return Page(path, viewer_page(path))


def _stored(run: str, store: Path, form: str) -> Path:
    name = FORMATS[form].file_name
    path = find(store, run) / name
    if not path.exists():
        raise StoreError(
            f"{path} is not there",
            f"Render it again: perfhunt report {run} --format {form} --output {name}",
        )
    return path


def viewer_page(profile: Path) -> str:
    """The address of the installed viewer with a profile loaded. Raises UsageError when the viewer
    is not installed.

    The viewer loads a script named after `#localProfilePath=`, which hands it the profile
    (speedscope's own bin/cli does it that way); the script goes to a directory of its own under the
    system's temporary one.
    """
    index = _installed() / "index.html"
    script = Path(tempfile.mkdtemp(prefix="perfhunt-speedscope-")) / "profile.js"
    content = base64.b64encode(regular_bytes(profile)).decode()
    script.write_text(f'speedscope.loadFileFromBase64("{profile.name}", "{content}")')
    return f"{index.resolve().as_uri()}#localProfilePath={script.resolve()}"


def _installed() -> Path:
    for modules in (Path.cwd() / "node_modules", *_global_modules()):
        if (modules / RELEASE / "index.html").is_file():
            return modules / RELEASE
    raise UsageError("the speedscope viewer is not installed", _INSTALL)


def _global_modules() -> tuple[Path, ...]:
    npm = shutil.which("npm")
    if npm is None:
        return ()
    root = printed([npm, "root", "--global"], within=NPM_WITHIN).strip()
    return (Path(root),) if root else ()
