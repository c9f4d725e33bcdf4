"""Profile and thread-state capture, behind one seam.

One way only, each may import those named before it: profiler, release, child_process,
thread_capture; py_spy, cpython, node, jvm, go (which do not know each other), perf (which asks go
what its code is called); table; state_sampler, instants; peer_watch, following; choose, preflight,
probes.
"""
