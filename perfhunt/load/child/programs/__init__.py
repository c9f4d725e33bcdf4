"""Other programs that make load: each is started for a step, kept to the target, and read as it
goes, so that its trial is made of the same samples as any other.
"""
