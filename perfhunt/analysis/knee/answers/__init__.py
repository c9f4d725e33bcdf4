"""What a search says of its trials: the knee or why there is none, its notes, routes and drift."""
