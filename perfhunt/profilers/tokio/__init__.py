"""What tasks of a Rust service wait for: by the calls of tokio that ask for it, or as the service
tells it itself, where it was built with tokio's console-subscriber.

One way only, each may import those named before it: permits; connections; looks; stream, updates;
profiler.
"""
