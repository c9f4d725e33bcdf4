"""The nouns of before and after: the change, the verdict on it, and how the effect ties to the edited code."""
