"""What is said in the end: the class as the search's own answer leaves it, the function that
refuses, and the one thing to do next.
"""
