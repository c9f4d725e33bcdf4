"""The command line: the only place that prints or exits.

`verbs` use `view`, never the other way.
"""

from __future__ import annotations


def main() -> None:
    """The `perfhunt` command."""
    from perfhunt.cli.app import run

    run()
