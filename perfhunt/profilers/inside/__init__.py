"""Tools that look from inside: a service is started under them, for they cannot attach.

One way only: enclosing, interpreter, `agent` (which runs in the service and imports nothing of
ours); talk, tool; pyinstrument, scalene, tracemalloc (which do not know each other); table.
"""
