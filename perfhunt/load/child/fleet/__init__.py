"""Several load processes as one: the master, its workers, and the connections between them.

A worker that was started here is given its connection when it starts, so there is nothing that
anybody else could join. One on another host is listened for: nothing is told or obeyed on either
side before both have shown that they know the same secret (`proving`).
"""
