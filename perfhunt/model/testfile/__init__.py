"""The test file: TOML text into a Question, strictly, telling all that is wrong with it at once."""
