"""The load child: the only process, and the only modules, that import Locust and gevent.

Two ways to send, `http` and `users`; neither knows the other. `sender` says what both can do,
`bounds` what neither may.
`fleet` makes several such processes one.
"""
