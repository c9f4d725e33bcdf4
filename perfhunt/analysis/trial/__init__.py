"""Whether one trial may be believed, when it has already failed, and what it says of the SLO."""
