"""Procedures by XML-RPC, for procedures.py: `echo`, and `fail` which is a fault. Prints "ready
PORT".
"""

from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCServer


def echo(value):
    return value


def fail(reason):
    raise Fault(7, reason)


if __name__ == "__main__":
    server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(echo)
    server.register_function(fail)
    print("ready", server.server_address[1], flush=True)
    server.serve_forever()
