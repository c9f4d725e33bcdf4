"""Where the service breaks: the search, what it may ask for, and the curve fitted to its trials.

One way only: stages (ramp, passes, warm-up ...) may import curve.
"""
