"""The half that looks, as one file that any Python 3.11 runs from its memory, and how it is begun
over a line that may pass through shells.
"""

from __future__ import annotations

import io
import zipfile
from importlib import resources
from importlib.resources.abc import Traversable

# Tried in this order: the usual name, then those of the versions that will do.
PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
# Words that mean the same whether or not a shell reads them: `code` runs each line that it is sent.
WORDS = ("-I", "-m", "code")
READY = b"\0perfhunt ready "  # told by the first line; what came before was a prompt
OLDEST = (3, 11)
# What the looks need of perfhunt: the rooms below the profilers, and these of them.
_ROOMS = ("model", "analysis", "store", "target", "profilers")
_SUFFIXES = (".py", ".txt")
# Read as one line by an interactive Python of any version. It tells that it is there, of which
# version, and whether a terminal is on the way; then it takes its program, from the descriptor
# itself, and keeps it in memory alone.
FIRST_LINE = (
    "import os, sys; "
    "os.write(1, b'\\0perfhunt ready ' + ('%d.%d' % sys.version_info[:2]).encode()"
    " + (b' terminal\\n' if os.isatty(0) else b'\\n')); "
    "os.isatty(0) and os._exit(0); "
    "exec(os.read(0, 4096).decode())"
)
SECOND = """\
import os, sys
def _read(size):
    pieces = []
    while size:
        piece = os.read(0, min(size, 65536))
        if not piece:
            os._exit(0)
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
os.write(1, b"\\0")
_held = os.memfd_create("perfhunt")
os.write(_held, _read({size}))
_told = os.dup(1)
os.dup2(2, 1)
sys.path.insert(0, "/proc/self/fd/%d" % _held)
from perfhunt.profilers.remote.far import main
try:
    main(0, _told)
finally:
    os._exit(0)
"""


def archive() -> bytes:
    """The modules, zipped, as `import` reads them."""
    held = io.BytesIO()
    package = resources.files("perfhunt")
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("__init__.py", "errors.py", "version.py"):
            packed.writestr(f"perfhunt/{name}", (package / name).read_bytes())
        for room in _ROOMS:
            _add(package / room, f"perfhunt/{room}", packed)
    return held.getvalue()


def _add(directory: Traversable, name: str, packed: zipfile.ZipFile) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            _add(entry, f"{name}/{entry.name}", packed)
        elif entry.name.endswith(_SUFFIXES):
            packed.writestr(f"{name}/{entry.name}", entry.read_bytes())
