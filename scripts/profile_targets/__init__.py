"""Programs of known work and waits, one for each runtime, for `scripts/profile_bench.py`."""
