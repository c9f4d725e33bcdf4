"""Shipped fakes: a service solved by arithmetic behind the load seam, so that a search can be tried
in no time at all, and a clock that moves only when told to.
"""

from perfhunt.testing.clock import Clock
from perfhunt.testing.laws import Law, constant, exponential, given, lognormal, mixture
from perfhunt.testing.queue_engine import QueueEngine
from perfhunt.testing.remembering import Cache, Cliff
from perfhunt.testing.service import Lane, Service

__all__ = [
    "Cache",
    "Cliff",
    "Clock",
    "Lane",
    "Law",
    "QueueEngine",
    "Service",
    "constant",
    "exponential",
    "given",
    "lognormal",
    "mixture",
]
