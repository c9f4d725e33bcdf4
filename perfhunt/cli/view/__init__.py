"""Who watches a run: a live view on a terminal, lines elsewhere, NDJSON for programs; and how it
ended. Arrows inside: watchers > live > lines; results stands alone.
"""
