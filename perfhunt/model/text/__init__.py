"""Text from outside: how it is written into each format (`escaping`), and what may be kept of a
command line (`command_line`); urls of unix sockets (`socket_url`).
"""
