"""The two stories, each to be read top-down: `investigate` (baseline, climb, hold, profile,
diagnose) and `verify` (both versions side by side, round after round, a verdict).

Arrows inside: verify > paired_question > pair_bench; `investigate` needs none of them.
"""
