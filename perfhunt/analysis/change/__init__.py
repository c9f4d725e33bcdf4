"""Whether an edit is exactly one change, and which frames of a profile it touched."""
