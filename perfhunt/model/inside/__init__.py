"""What is seen of a service from inside of it, by tools that it was started under."""
