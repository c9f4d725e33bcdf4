"""Verbs whose exit code CI goes by: `smoke` for every change, `nightly` against a baseline."""
