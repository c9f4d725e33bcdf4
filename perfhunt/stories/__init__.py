"""The two stories, each to be read top-down: `investigation` (baseline, climb, hold, profile,
diagnose) and `verification` (both versions side by side, round after round, a verdict).

Arrows inside: verification > paired_question > pair_bench; `investigation` needs none of them.
"""
