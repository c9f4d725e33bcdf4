"""A user's own locustfile: its classes and tasks as they are, driven by arrivals or in a closed loop."""
