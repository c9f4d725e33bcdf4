"""CPython's own state, read from outside: which Python code every thread is in, what every asyncio
task awaits and where every greenlet waits, without code in the target and without stopping it.

Where things lie in memory differs by version and build, so it is not listed here but learnt: the
target's own interpreter runs a specimen, which tells the addresses of objects it knows, and the
offsets are those at which its memory holds them.

One way only, each may import those named before it: layouts; objects, tiles, resident;
stacks, chains; greenlets; tasks, awaits; target; looks.
"""
