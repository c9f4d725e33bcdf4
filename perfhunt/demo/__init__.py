"""A small real shop service with one planted bottleneck."""
