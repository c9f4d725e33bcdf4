"""A run as one file that CI can keep: `archive` is its form, `place` where it comes from and
goes.
"""
