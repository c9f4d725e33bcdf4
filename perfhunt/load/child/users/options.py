"""What a locustfile finds in `environment.parsed_options`: its own options and Locust's, as after
`locust --headless`: from the test file, else from their environment variables, else their defaults.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import locust
from locust import argument_parser

from perfhunt.errors import TrafficError
from perfhunt.model.question import LocustOptions
from perfhunt.model.testfile.strict import did_you_mean
from perfhunt.model.testfile.template import fill
from perfhunt.model.text.error_words import error_words

_WHERE = "[locust] options of the test file"


def parsed_options(
    given: LocustOptions, variables: Mapping[str, str], url: str
) -> argparse.Namespace:
    """The namespace. Options of the locustfile are known once it was imported. Raises TrafficError
    for one that is not, or whose value its parser does not take.
    """
    # locust.conf is for Locust's own command line, and nobody reads its help here.
    locusts: Any = argument_parser  # which has no types
    parser = locusts.get_empty_argument_parser(add_help=False, default_config_files=[])
    locusts.setup_parser_arguments(parser)
    _ask_listeners(parser)

    def refuse(message: str) -> NoReturn:
        raise TrafficError(f"{_WHERE}: {message}", "The locustfile's own parser says so.")

    def leave(status: int = 0, message: str | None = None) -> NoReturn:
        raise TrafficError(f"{_WHERE}: one of them ends Locust at once", "Leave it out.")

    parser.error = refuse
    parser.exit = leave
    known = {action.dest: action for action in parser._actions if action.option_strings}
    words = [
        word
        for name, values in given
        for word in _words(known, name, [fill(value, {}, variables) for value in values])
    ]
    options: argparse.Namespace = parser.parse_args(words)
    options.host = url
    return options


def _ask_listeners(parser: argparse.ArgumentParser) -> None:
    """Has the locustfile add its options. Raises TrafficError with what a listener raised, which
    Locust itself would only log.
    """
    hook: Any = locust.events.init_command_line_parser
    for listener in list(hook._handlers):
        try:
            listener(parser=parser)
        except (Exception, SystemExit) as error:
            raise TrafficError(
                f"a listener of init_command_line_parser in the locustfile failed:"
                f" {error_words(error)}",
                "Locust's own words: locust -f FILE --help",
            ) from None


def _words(known: Mapping[str, argparse.Action], name: str, values: Sequence[str]) -> Iterator[str]:
    """What would stand on the command line."""
    if name not in known:
        advice = did_you_mean(name, [*known])
        raise TrafficError(f"{_WHERE}: the locustfile has no option {name!r}", advice)
    action: Any = known[name]
    flag = action.option_strings[-1]
    if isinstance(action, argparse._AppendAction) and action.nargs is None:
        yield from (f"{flag}={value}" for value in values)
    elif len(values) == 1:
        yield f"{flag}={values[0]}"  # a value may begin with a dash
    else:
        yield from (flag, *values)
