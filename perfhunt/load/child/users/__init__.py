"""A user's locustfile: classes and tasks as they are, driven by arrivals or in a closed loop."""
