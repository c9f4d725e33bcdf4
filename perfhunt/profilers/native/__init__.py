"""Threads of any program: their stacks, from the registers that the kernel tells, a copy of the
stack, and the unwind tables of the files the program is made of.

One way only, each may import those named before it: image; inlining, unwind; one_sample; calls,
looker.
"""
