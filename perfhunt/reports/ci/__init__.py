"""What CI shows of a run or a verdict: a comment, orders to its log, and numbers for what keeps
them over time.
"""
