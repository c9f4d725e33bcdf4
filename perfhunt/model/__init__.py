"""The nouns: frozen, compared by value, with pure methods only.

The nouns of one investigation stand here. The subpackages build on them, and each on those before
it: `verdict`, `document`, `testfile`.
"""
