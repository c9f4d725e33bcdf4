"""Languages tree-sitter parses: a table of `grammars`, `declarations` read by them, `atoms` of those."""
