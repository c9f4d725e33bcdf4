"""Runs on disk: atomic, versioned, and indexed by a ledger that can be rebuilt."""
