"""What this host allows, what numbers taken on it depend on, and who else uses it.

One way only, each may import those named before it: check; environment, limits; core_speed,
run_queue, host_use, partners, opened;
interference, peers; quietness.
"""
