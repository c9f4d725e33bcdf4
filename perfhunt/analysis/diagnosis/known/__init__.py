"""What is known before any stack is read: what the runtime has that can stop a service, and how the
service broke when the search pushed it there.
"""
