"""`perfhunt schema`: what run.json holds."""

from __future__ import annotations

from perfhunt.cli import console


def schema() -> None:
    """Print the JSON Schema of run.json."""
    from perfhunt.store.run_json import schema_text

    console.rendered_json(schema_text())
