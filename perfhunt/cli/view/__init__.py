"""Who watches a run: a live view on a terminal, lines elsewhere, NDJSON for programs; and how it
ended. Arrows inside: watchers > live > curve > lines; results and next_commands stand alone.
"""
