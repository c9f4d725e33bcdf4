"""The stages of a search: each asks for trials, and gives back what the next one starts from."""
