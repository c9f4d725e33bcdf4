"""perfhunt: how much traffic a service holds before it breaks its SLO, what stops it there, and
whether a change helped.

    from perfhunt import investigate, smoke, verify, load_run
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perfhunt.version import __version__

if TYPE_CHECKING:
    from perfhunt.api import investigate, load_run, smoke, verify

__all__ = ["__version__", "investigate", "load_run", "smoke", "verify"]


def __getattr__(name: str) -> Any:
    """The public functions, imported when first asked for: `import perfhunt` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("perfhunt.api"), name)
