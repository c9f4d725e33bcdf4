"""What was edited between two revisions, as atoms.

`paths` tells what a file is for. `git` gets the texts of edited files and `readers` read them into
atoms; these two do not import each other. `git` asks `paths` what it need not read. `read` joins
them: start reading there. `running` asks whether a process runs the changed code. Imports go read >
git, readers > paths; running > readers.
"""
