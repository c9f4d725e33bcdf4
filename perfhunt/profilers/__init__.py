"""Profile and thread-state capture, behind one seam.

One way only, each may import those named before it: profiler, release, child_process,
thread_capture; py_spy, perf, node, go, jvm (which do not know each other); table; state_sampler;
peer_watch; choose, preflight, probes.
"""
