"""Which kinds of time a function must cost for it to be what a class of bottleneck is about."""

from __future__ import annotations

from collections.abc import Mapping

from perfhunt.model.finding import BottleneckClass

_C = BottleneckClass
_FITTING: Mapping[BottleneckClass, frozenset[BottleneckClass]] = {
    _C.CPU: frozenset({_C.CPU, _C.GIL}),
    _C.CPU_QUOTA: frozenset({_C.CPU, _C.GIL}),
    _C.GIL: frozenset({_C.CPU, _C.GIL}),
    _C.EVENT_LOOP: frozenset({_C.CPU, _C.GIL}),
    _C.EVENT_LOOP_BLOCKED: frozenset(
        {_C.DATABASE, _C.DOWNSTREAM, _C.SLEEP, _C.DISK, _C.LOCK, _C.POOL, _C.OTHER}
    ),
    _C.LOCK: frozenset({_C.LOCK, _C.SLEEP}),
    _C.POOL: frozenset({_C.POOL, _C.DATABASE, _C.DOWNSTREAM, _C.OTHER}),
    # Who is refused there sleeps before asking again.
    _C.DOWNSTREAM: frozenset({_C.DOWNSTREAM, _C.SLEEP, _C.OTHER}),
    _C.DATABASE: frozenset({_C.DATABASE, _C.DOWNSTREAM, _C.OTHER}),
    _C.WORKERS: frozenset(
        {_C.WORKERS, _C.SLEEP, _C.DATABASE, _C.DOWNSTREAM, _C.DISK, _C.LOCK, _C.OTHER}
    ),
    _C.LIMITER: frozenset({_C.LIMITER}),
}


def fits(kinds: frozenset[BottleneckClass], category: BottleneckClass) -> bool:
    """Whether a function that costs such kinds of time may be what stops a service of that
    class.
    """
    return bool(kinds & _FITTING.get(category, frozenset({category})))
