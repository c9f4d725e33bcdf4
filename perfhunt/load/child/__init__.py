"""The load child: the only process, and the only modules, that import Locust and gevent."""
