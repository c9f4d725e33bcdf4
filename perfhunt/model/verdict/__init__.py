"""The nouns of before and after: the change, the verdict, and how an effect ties to the edit."""
