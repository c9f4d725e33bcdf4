"""The one-change rule, enforced: the change as one, or a refusal that says what, where and what
next.
"""

from __future__ import annotations

from perfhunt.analysis.change.one_change import decide
from perfhunt.errors import ChangeRefused
from perfhunt.model.profile import Profile
from perfhunt.model.verdict.change import Change, ChangeRefusal, OneChange


def require_one(change: Change, profile: Profile | None = None, compound: str = "") -> OneChange:
    """The change, ruled to be one (or compound, with a person's reason). Raises ChangeRefused (exit
    92) otherwise.
    """
    ruling = decide(change, profile, compound)
    if isinstance(ruling, ChangeRefusal):
        raise ChangeRefused("\n".join(ruling.lines()), ruling.next)
    return ruling
