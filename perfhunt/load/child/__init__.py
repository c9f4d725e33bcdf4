"""The load child: the only process, and the only modules, that import Locust and gevent.

Three ways to send, `http`, `users` and `programs`; none knows another. `sender` says what the first
two can do, `bounds` what none may.
`fleet` makes several such processes one.
"""
