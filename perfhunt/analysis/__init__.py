"""Pure functions over the model: no clock, file, process or network.

One way only, each may import those named before it: trial, knee, blame, diagnosis; change, verdict;
gate.
"""
