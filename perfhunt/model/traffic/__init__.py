"""What a request carries, what counts as its answer, and where traffic may go besides."""
