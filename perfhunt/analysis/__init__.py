"""Pure functions over the model: no clock, file, process or network."""
