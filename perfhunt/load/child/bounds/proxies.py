"""Proxies that a client would take from the environment: load goes to the target itself."""

from __future__ import annotations

from collections.abc import MutableMapping

_ENDS, _SPARED = "_proxy", "no_proxy"  # as urllib.request.getproxies_environment reads them


def unset_proxies(environment: MutableMapping[str, str]) -> str:
    """Takes `HTTP_PROXY` and its like out of the environment: says which, as a sentence without a
    stop; "" where none was set.
    """
    found = [
        name
        for name, value in environment.items()
        if value and name.lower().endswith(_ENDS) and name.lower() != _SPARED
    ]
    for name in found:
        del environment[name]
    if not found:
        return ""
    return f"{', '.join(sorted(found))} is not used: load goes to the target and not to a proxy"
