"""The exceedance curve: its shapes, what is believed of it beforehand, and trials as its points."""
