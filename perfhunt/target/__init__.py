"""What a process is and what it uses, seen from outside: found, identified, watched, started and ended."""
