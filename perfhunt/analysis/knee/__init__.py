"""Where the service breaks: the search, what it may ask for, and the curve fitted to its trials.

One way only, each may import those named before it: curve, stages (ramp, passes, warm-up ...),
answers.
"""
