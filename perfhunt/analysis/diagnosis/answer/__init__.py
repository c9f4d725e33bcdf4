"""What is said in the end: the class as the search's own answer leaves it, the function that
refuses (read in the code by `refusal`), and the one thing to do next.
"""
