"""One reader for each kind of file: both texts in, atoms of the edit out."""
