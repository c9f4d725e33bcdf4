"""How a run is told by `perfhunt history`."""

from __future__ import annotations

from pathlib import Path

from perfhunt.cli.verbs.stored.history import row_lines
from perfhunt.store.ledger import history
from tests.sample_run import keep, sample_run


def test_a_run_that_is_wider_than_the_terminal_is_told_in_two_lines(tmp_path: Path) -> None:
    keep(tmp_path, sample_run())
    (row,) = history(tmp_path)
    (whole,) = row_lines(row, 120)
    found, where = row_lines(row, 80)
    assert len(found) <= 80
    assert where.startswith("  lock  load_rules  3f9c1d2ab+")
    assert f"{found} {where}".split() == whole.split()
