"""Profiles as other tools write them, read into the one model and written out of it: text, bytes
and JSON values in, `Profile` out, and back. No file is opened here.

One table, `formats`, names them all. It may import `readers` and `writers`, which do not know each
other.
"""
