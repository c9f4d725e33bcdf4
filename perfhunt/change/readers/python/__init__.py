"""Python: a module is cut into `definitions`, each in its `normal` form with the `names` it reads.

`renames` are seen through, `links` tie definitions together, `atoms` says which of them changed.
"""
