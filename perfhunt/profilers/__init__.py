"""Profile and thread-state capture, behind one seam.

A folder per tool that needs several files, and none imports another: py_spy, perf, node, go, jvm.
"""
