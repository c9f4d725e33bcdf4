"""Schemas: `sql` and `migrations` read statements, `atoms` says which of them changed."""
