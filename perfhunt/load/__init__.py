"""Engines that put traffic on a target, behind one seam."""
