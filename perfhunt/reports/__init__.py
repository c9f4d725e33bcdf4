"""Formats behind one seam: pure functions of a Run. `html` draws on `pictures`, never the other way."""
