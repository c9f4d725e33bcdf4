"""How a build of CPython lays out its objects, learnt from a specimen of it.

One way only, each may import those named before it: layout; search; frames, values, tasks, locks;
learn; inside; contained.
"""
