"""The nouns: frozen, compared by value, with pure methods only.

The nouns of one investigation stand here. The subpackages build on them, and each on those before
it: `text` (on nothing: how text from outside is written and kept), `traffic`, `inside`,
`verdict`, `document`, `profiles`, `testfile`, `recorded`.
"""
