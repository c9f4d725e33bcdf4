"""Readers of what profilers of Python write, each in a format of its own."""
