"""SQL and migrations: `sql` and `migrations` read them as statements, `atoms` says which changed."""
