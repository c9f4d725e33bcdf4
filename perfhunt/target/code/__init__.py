"""What a target's code is: what is installed for it, which of that is the application, its texts.
Files are read through the process's own root, and nothing of the target is ever run.
"""
