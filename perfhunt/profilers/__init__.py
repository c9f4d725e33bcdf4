"""Profile and thread-state capture, behind one seam.

One way only, each may import those named before it: profiler, release, child_process,
thread_capture; py_spy, cpython, native, go, jvm, node, inside (which do not know each other), perf,
tokio; table; state_sampler, instants; peer_watch, following; choose, preflight, probes; remote.
`inside` stands by itself: a service is started under its tools, and nothing is attached.
"""
