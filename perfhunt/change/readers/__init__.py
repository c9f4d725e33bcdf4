"""One reader for each family of files: both texts of an edit in, its atoms out.

Each family has a folder, and its `atoms` is the reader; the other files there are what it reads
with. Families import `texts`, `text`, `lines` and `edit_shape` from here and not each other, but
for `python`, which reads settings.py by the names of `settings`. What no family can read into is
one atom, and a note says so.
"""
