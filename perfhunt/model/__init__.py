"""The nouns: frozen, compared by value, with pure methods only.

The nouns of one investigation stand here; `verdict`, `document` and `testfile` build on them and not on each other.
"""
