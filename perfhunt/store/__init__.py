"""Runs on disk: atomic, versioned, and listed from their own directories."""
