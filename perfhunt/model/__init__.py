"""The nouns: frozen, compared by value, with pure methods only."""
