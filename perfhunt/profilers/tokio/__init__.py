"""What a Rust service tells of its tasks, where it was built with tokio's console-subscriber.

One way only, each may import those named before it: stream, updates; profiler.
"""
