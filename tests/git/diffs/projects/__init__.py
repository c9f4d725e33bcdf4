"""Services as they were before the edit: path to text."""
