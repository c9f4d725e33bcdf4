"""INTERIM until the real one lands."""

from __future__ import annotations

from perfhunt.model.run import Run


def verdict_sentence(run: Run) -> str:
    """Interim."""
    return f"{run.verdict}"
