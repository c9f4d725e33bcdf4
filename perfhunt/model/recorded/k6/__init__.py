"""k6 scripts as the requests that can be read in them: nothing is run, and nothing is guessed.

One way only, each may import those named before it: syntax; scopes; values; written; checks; calls,
options; script.
"""
