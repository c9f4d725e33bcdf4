"""perfhunt: how much traffic a service holds before it breaks its SLO, what stops it there, and
whether a change helped.
"""

__version__ = "0.1.0"
