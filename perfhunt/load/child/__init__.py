"""The load child: the only process, and the only modules, that import Locust and gevent.

`users` send through `http`, never the other way.
"""
