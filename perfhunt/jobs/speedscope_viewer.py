"""The speedscope viewer, from its npm package, opened on a profile of ours without a network."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
from pathlib import Path

from perfhunt.errors import UsageError

RELEASE = Path("speedscope") / "dist" / "release"
_INSTALL = (
    "npm install --global speedscope; or drop the file on https://www.speedscope.app, which reads"
    " it in the browser"
)


def viewer_page(profile: Path) -> str:
    """The address of the installed viewer with a profile loaded. Raises UsageError when the viewer
    is not installed.

    The viewer loads a script named after `#localProfilePath=`, which hands it the profile
    (speedscope's own bin/cli does it that way); the script goes to a directory of its own under the
    system's temporary one.
    """
    index = _installed() / "index.html"
    script = Path(tempfile.mkdtemp(prefix="perfhunt-speedscope-")) / "profile.js"
    content = base64.b64encode(profile.read_bytes()).decode()
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
    try:
        found = subprocess.run(
            [npm, "root", "--global"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return (Path(found.stdout.strip()),) if found.stdout.strip() else ()
