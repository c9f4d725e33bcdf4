"""Other programs that make load, as the controller sees them: what they are, and how they are
driven.
"""
