"""What CI asks for a word: a smoke for every change, and a whole night against a baseline."""
