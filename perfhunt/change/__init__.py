"""What was edited, read from git as atoms. `git` gets the texts, `readers` read them; neither imports the other."""
