"""Engines that put traffic on a target, behind one seam.

`seam` says what an engine must do, `engines` which there are; every engine's raw samples become a
trial in `tally` and `trials`. `locust_engine` commands the load child in `child`, by the `messages`
of a `pipe`, and keeps it alive by a `lifeline`; `programs` has it start k6 or vegeta.
`trust` says whom master and workers believe, and how far; `child` acts by it and by what is known
of `programs`.
"""
