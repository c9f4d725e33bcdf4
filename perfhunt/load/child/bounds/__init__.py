"""What the load child may not go beyond, whatever its traffic does: a controller that listens, a
deadline, the descriptors of its host, and the places that were cleared.
"""
