"""A target that is looked at where it lives, by way of a command such as `ssh HOST`: the half of
perfhunt that looks is sent there, and tells on its standard output what it sees.

One way only, each may import those named before it: messages, far, program, link, probes.
"""
