"""A k6 script as the traffic that can be read in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from perfhunt.errors import Unreadable
from perfhunt.model.recorded.described import DescribedRequest, described_traffic
from perfhunt.model.recorded.k6.calls import http_names, requests_of
from perfhunt.model.recorded.k6.checks import expected_statuses
from perfhunt.model.recorded.k6.options import load_note, options_of, threshold_lines
from perfhunt.model.recorded.k6.scopes import Scopes
from perfhunt.model.recorded.k6.syntax import Node, line_of, syntax_tree, walked
from perfhunt.model.recorded.k6.values import ScriptValues
from perfhunt.model.recorded.request import LeftOut
from perfhunt.model.recorded.traffic import RecordedTraffic
from perfhunt.model.text.escaping import toml_text


def k6_traffic(text: str, stem: str, name: str) -> RecordedTraffic:
    """The traffic of a k6 script, which is read and not run; `name` is that of its file. What is
    computed is a comment that says its line. Raises Unreadable.
    """
    root = syntax_tree(text, name)
    names, values = http_names(root), ScriptValues(Scopes(root))
    read = [*requests_of(root, names, values, expected_statuses(root))]
    options = options_of(root, values)
    requests = [each for each in read if isinstance(each, DescribedRequest)]
    lines, refused = threshold_lines(options, {each.name for each in requests})
    notes = [*_not_read(root, names.elsewhere), *refused, *load_note(options)]
    notes += [f"{key} is taken for its default, {value}." for key, value in values.defaults.items()]
    itself = (
        f"k6 itself runs the script as it is: k6_script = {toml_text(name)} at the top of the file,"
        " in place of [[traffic]]."
    )
    try:
        return described_traffic(_at_one_place(read), stem, [*notes, itself], lines)
    except Unreadable as error:
        raise Unreadable(" ".join([error.message, *notes]), itself) from None


def _at_one_place(
    read: Iterable[DescribedRequest | LeftOut],
) -> Iterator[DescribedRequest | LeftOut]:
    """Requests to other places than the commonest are left out; those whose place is not known go
    where target.url says.
    """
    every = [*read]
    places = Counter(
        each.request.origin
        for each in every
        if isinstance(each, DescribedRequest) and each.request.origin
    )
    main = places.most_common(1)[0][0] if places else ""
    for each in every:
        if isinstance(each, LeftOut) or each.request.origin in (main, ""):
            yield each
        else:
            yield LeftOut("they go to other places", f"{each.name} at {each.request.origin}")


def _not_read(root: Node, elsewhere: Iterable[str]) -> list[str]:
    """What of the script was not understood, as sentences."""
    notes = [f"What these send is not read: {', '.join(elsewhere)}."] if elsewhere else []
    if root.has_error:
        broken = (each for each in walked(root) if each.type == "ERROR" or each.is_missing)
        line = next((line_of(each) for each in broken), 1)
        notes.append(f"Line {line} is no JavaScript that is read; what is near it may be missing.")
    return notes
