"""The version of perfhunt, in a module of its own: whatever needs it imports nothing else."""

__version__ = "0.1.0"
