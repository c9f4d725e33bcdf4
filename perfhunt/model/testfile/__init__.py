"""The test file: TOML text into a Question, strictly, telling everything that is wrong with it at once."""
