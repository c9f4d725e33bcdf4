"""Formats behind one seam: pure functions of a Run that show what it holds, computing nothing anew.

One way only, each may import those named before it: requests, pictures, html, ci; the modules here
use all of them.
"""
