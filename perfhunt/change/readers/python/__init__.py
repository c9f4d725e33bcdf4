"""Python's syntax tree as units, names and atoms."""
