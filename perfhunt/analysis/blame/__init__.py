"""Who is charged for the time of a request: what code did, and whom waiting threads waited for."""
