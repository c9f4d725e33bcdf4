"""A Run as plain values and as text, and back again without loss."""
