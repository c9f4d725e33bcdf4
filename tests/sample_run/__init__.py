"""A Run with every part filled, as an investigation of a small shop would leave it.

The shop: 4 threads of gunicorn, a lock held around a price query; p99 <= 250 ms breaks at about
141/s, saturation at 162/s.
"""

from tests.sample_run.captures import profile
from tests.sample_run.changed import keep, moved
from tests.sample_run.inside import launched_run
from tests.sample_run.judged import judged_change
from tests.sample_run.load import KNEE
from tests.sample_run.run import aborted_run, sample_run

__all__ = [
    "KNEE",
    "aborted_run",
    "judged_change",
    "keep",
    "launched_run",
    "moved",
    "profile",
    "sample_run",
]
