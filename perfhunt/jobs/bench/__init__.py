"""A command timed, or two versions of it judged.

Arrows inside: bench > doubts, measuring > request, hyperfine > parameters.
"""
