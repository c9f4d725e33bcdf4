"""What of a measured change is the doing of the code that was edited.

One way only, each may import those named before it: demand; shifted; attribution.
"""
