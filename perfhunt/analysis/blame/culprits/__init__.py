"""Which function is the thing to fix, where a cost is split among small functions that it calls.

One way only, each may import those named before it: source_lines, trails, repeated, culprits.
"""
