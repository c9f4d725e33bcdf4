"""A run as one file that CI can keep: `archive` is its form, `place` brings it from and to a store."""
