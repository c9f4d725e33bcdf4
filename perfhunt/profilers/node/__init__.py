"""Node.js through its inspector."""
