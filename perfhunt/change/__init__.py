"""What changed in the working tree, as atoms, and whether it is one change."""
