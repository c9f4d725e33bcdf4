"""What a person probably meant by a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.6  # ratio of matching letters from which difflib calls words close; its own default
_BEGINNING = 3  # letters: shorter beginnings fit too many names


def closest(word: str, known: Iterable[str]) -> str:
    """The known name nearest to `word`, or "" when none is near enough to be worth saying."""
    by_folded = {name.casefold().replace("-", "_"): name for name in known}
    folded = word.casefold().replace("-", "_")
    near = difflib.get_close_matches(folded, by_folded, n=1, cutoff=_ALIKE)
    # "prod" is half of "production", which no edit distance sees.
    if not near and len(folded) >= _BEGINNING:
        near = [name for name in by_folded if name.startswith(folded)]
    return by_folded[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "timeout"?`, else the whole list of what is known."""
    names = sorted(known)
    near = closest(word, names)
    if near:
        return f'did you mean "{near}"?'
    return f"known here: {', '.join(names)}" if names else "nothing is expected here"
