"""The use cases: each takes a typed request, returns a result, and can be called from Python. They print nothing."""
