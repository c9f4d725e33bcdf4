"""Renderings of a stored Run, behind one seam. Pure: a Run in, text out."""
