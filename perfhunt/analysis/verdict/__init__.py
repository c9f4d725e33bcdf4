"""Before against after: endpoints, rounds, the sequential test, and the word that comes of it."""
