"""One file per verb: options in, a request to a job, its result printed, an exit code out.

`stored` reads what is there; `gate` is what CI goes by.
"""
