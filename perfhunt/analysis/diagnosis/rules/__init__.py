"""One rule per class of bottleneck: a score between 0 and 1, and sentences that carry its numbers.

Every rule has its thresholds in a table of its own, beside it. They were chosen on real services
with one known bottleneck each, and are not calibrated: a reason is given where there is one.

One way only, each may import those named before it: score; cpu, event_loop, polled; peers; waits,
wire, surroundings; table.
"""
