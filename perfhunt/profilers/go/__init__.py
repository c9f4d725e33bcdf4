"""Go through net/http/pprof."""
