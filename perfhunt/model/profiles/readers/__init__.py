"""What tools of others wrote, read strictly: one module a format."""
