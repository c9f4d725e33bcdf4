"""Where the latency that load added went: named parts that sum to the growth of the mean.

One way only, each may import those named before it: serving, parts, after_answer, queue;
condensed, agreement; bridge.
"""
