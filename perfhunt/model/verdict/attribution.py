"""How a measured effect ties to the code that was edited."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.model.interval import Interval
from perfhunt.model.profile import Profile
from perfhunt.model.units import Cores, PerSecond, Seconds, Share
from perfhunt.model.verdict.change import Atom


@dataclass(frozen=True, slots=True)
class Measured:
    """A profile with the load it was taken under: requests completed per second and, when known,
    CPU used by the target.
    """

    profile: Profile
    completed: PerSecond
    cpu: Cores | None = None

    @property
    def seconds_per_request(self) -> Seconds:
        """Seconds of a request that all samples together stand for; 0 when that is not known."""
        return self.profile.seconds_per_request(self.completed, self.cpu, nominal=True) or 0.0

    @property
    def seconds_per_sample(self) -> Seconds:
        """Seconds of a request that one sample stands for; 0 when that is not known."""
        return self.profile.seconds_per_sample(self.completed, self.cpu, nominal=True) or 0.0


@dataclass(frozen=True, slots=True)
class Demand:
    """One function's seconds per request, before and after, callees included.

    `word` is appeared, vanished, grown, shrunk, same (no difference beyond chance), or unseen (in
    no sample of either).
    """

    function: str
    file: str
    before: Interval
    after: Interval
    word: str


@dataclass(frozen=True, slots=True)
class HotLine:
    """A line of the edited code, and the share of the samples after the edit that stood on it, or
    called from it.
    """

    file: str
    line: int
    function: str
    share: Share


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the edit can have to do with what was measured.

    `share` is the share of baseline samples in edited functions; `bound` the largest relative gain
    in capacity that removing them entirely could bring (Amdahl), None when no code was edited.
    `explained` is False when even the low end of the measured gain is beyond that bound, None when
    there is nothing to check. `moved` are unedited functions that took on the cost. Of a package,
    the demands are its own and those of its functions that changed. `shifted` are the functions
    whose own demand changed where nothing that was edited has frames: no cause is claimed. `hot`
    are lines of the edited code, the hottest first.
    """

    atoms: tuple[Atom, ...]
    demands: tuple[Demand, ...]
    share: Interval | None
    bound: Share | None
    gain: Interval | None
    explained: bool | None
    moved: tuple[Demand, ...] = ()
    sentences: tuple[str, ...] = ()
    shifted: tuple[Demand, ...] = ()
    hot: tuple[HotLine, ...] = ()
