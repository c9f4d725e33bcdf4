"""Other languages: `declarations` reads by the table in `grammars`, `atoms` says what changed."""
