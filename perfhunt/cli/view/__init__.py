"""Who watches a run: a live view on a terminal, lines elsewhere, NDJSON for programs."""
