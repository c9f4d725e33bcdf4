"""Tools that look from inside: a service is started under them, for they cannot attach.

One way only: enclosing, talk, `agent` (which runs in the service and imports nothing of ours);
tool; pyinstrument, scalene, tracemalloc (which do not know each other); table.
"""
