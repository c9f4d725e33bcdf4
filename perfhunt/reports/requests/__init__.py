"""What reports say of requests: why they failed, what one costs, which of them take the time."""
