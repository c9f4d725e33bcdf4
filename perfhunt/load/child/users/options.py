"""What a locustfile finds in `environment.parsed_options`: its own options and Locust's, as after
`locust --headless`: from the test file, else from their environment variables, else their defaults.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from locust.argument_parser import get_parser

from perfhunt.errors import LoadFailed
from perfhunt.model.question import LocustOptions
from perfhunt.model.testfile.strict import did_you_mean
from perfhunt.model.testfile.template import fill

_WHERE = "[locust] options of the test file"


def parsed_options(
    given: LocustOptions, variables: Mapping[str, str], url: str
) -> argparse.Namespace:
    """The namespace. Options of the locustfile are known once it was imported. Raises LoadFailed
    for one that is not, or whose value its parser does not take.
    """
    parser = get_parser(default_config_files=[])  # locust.conf is for Locust's own command line

    def refuse(message: str) -> NoReturn:
        raise LoadFailed(f"{_WHERE}: {message}", "The locustfile's own parser says so.")

    parser.error = refuse  # type: ignore[method-assign]
    known = {action.dest: action for action in parser._actions if action.option_strings}
    words = [
        word
        for name, values in given
        for word in _words(known, name, [fill(value, {}, variables) for value in values])
    ]
    options: argparse.Namespace = parser.parse_args(words)
    options.host = url
    return options


def _words(known: Mapping[str, argparse.Action], name: str, values: Sequence[str]) -> Iterator[str]:
    """What would stand on the command line."""
    if name not in known:
        advice = did_you_mean(name, [*known])
        raise LoadFailed(f"{_WHERE}: the locustfile has no option {name!r}", advice)
    action: Any = known[name]
    flag = action.option_strings[-1]
    if isinstance(action, argparse._AppendAction) and action.nargs is None:
        yield from (f"{flag}={value}" for value in values)
    elif len(values) == 1:
        yield f"{flag}={values[0]}"  # a value may begin with a dash
    else:
        yield from (flag, *values)
