"""What is said of an exception: its type and the place it came from. Its text may hold whatever the
code had in hand, so that is said only when asked for.
"""

from __future__ import annotations

import re
import traceback

from perfhunt.errors import OwnWords, PerfhuntError

_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]|^<")
_STANDARD = traceback.__file__.rpartition("/")[0]  # the directory of Python's own modules
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]{0,60}")


def error_words(error: BaseException, keep_text: bool = False) -> str:
    """`KeyError at shop_load.py:41 in checkout`; `KeyError: 'sku', at …` with its text. An error of
    our own says what is safe to say.
    """
    if isinstance(error, PerfhuntError):
        return error.message
    place = _place(error)
    if keep_text or isinstance(error, OwnWords):
        text = f"{type(error).__name__}: {error}"
        return f"{text}, at {place}" if place else text
    said = f"{type(error).__name__}{_known(error)}"
    return f"{said} at {place}" if place else said


def refused_by_the_system(error: OSError) -> PerfhuntError:
    """What ends a run, or a verb, when the system refuses something that it needs (descriptors, a
    file).
    """
    return PerfhuntError(
        f"the system refused what perfhunt needs: {error_words(error, keep_text=True)}",
        "Limits of a process: ulimit -a; of a disk: df. What was measured until then is kept.",
    )


def _known(error: BaseException) -> str:
    """What of its text is known to be harmless: the system's word for an error, a name of code."""
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno > 0:
        return f" (errno {error.errno})"
    name = getattr(error, "name", None)
    if isinstance(error, ImportError | NameError) and isinstance(name, str):
        return f" ({name})" if _IDENTIFIER.fullmatch(name) else ""
    return ""


def _place(error: BaseException) -> str:
    """File, line and function: of the deepest call that is not in a library, if there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_base(error.filename)}:{error.lineno or 0}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    own = [
        f
        for f in frames
        if not _LIBRARY.search(f.filename) and not f.filename.startswith(_STANDARD)
    ]
    frame = (own or frames)[-1]
    return f"{_base(frame.filename)}:{frame.lineno or 0} in {frame.name}"


def _base(path: str) -> str:
    return path.rpartition("/")[2]
