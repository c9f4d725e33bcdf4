"""Verbs that show what is stored already and measure nothing."""
