"""Jobs over what is stored already; they measure nothing."""
