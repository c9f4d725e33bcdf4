"""The two stories, each to be read top-down: `investigation` (baseline, climb, hold, profile,
diagnose) and `verification` (both versions side by side, round after round, a verdict).

`smoke` is the first story's little sister: one rate, and a profile where it is missed.

Arrows inside: smoke > investigation; verification > paired_question > pair_bench; `investigation`
needs none of them.
"""
