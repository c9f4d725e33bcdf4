"""One change, the same question again, a verdict: of a restarted process, or of both versions side
by side.

Arrows inside: verify > command, process > stored, versions, profiles > attribution > installed,
starter > request > edit_patch.
"""
