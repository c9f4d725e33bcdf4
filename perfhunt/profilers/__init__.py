"""Profile and thread-state capture, behind one seam."""
