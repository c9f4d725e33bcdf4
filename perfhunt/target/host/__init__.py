"""What this host allows, and what numbers taken on it depend on."""
