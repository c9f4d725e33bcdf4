"""What a master and a worker on two hosts know of each other before anything is said: where the
master is, the secret that both have, and what the worker's own user lets a master ask of it.
"""
