"""Targets that perfhunt starts itself, from the command behind `--`.

One way only: service; looks.
"""
