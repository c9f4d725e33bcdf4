"""Go: goroutines read from memory, and the profile that net/http/pprof serves.

Nothing is listed by version: where things lie is read from what every Go program carries for its
own tracebacks and its collector, stripped or not.

One way only, each may import those named before it: image; functions, structs; last_calls;
goroutines; waits; served; told; looks. `profiler`, which needs served alone, stands beside them.
"""
