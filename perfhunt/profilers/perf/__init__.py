"""Native and kernel stacks through perf."""
