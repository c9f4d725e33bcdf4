"""Makes garbage beside a heap that the collector looks through, and computes. Answers each line on
standard input with [CPU seconds of collecting, CPU seconds of all].
"""

import gc
import json
import sys
import threading
import time

KEPT = [{"number": [n]} for n in range(100_000)]
collected = [0.0]
began = [0.0]


def note(phase, _):
    if phase == "start":
        began[0] = time.thread_time()
    else:
        collected[0] += time.thread_time() - began[0]


def litter():
    for _ in range(200):
        one = []
        one.append([one])
    gc.collect()  # by itself it comes when enough is new, which would be seldom here


def compute():
    return sum(n * n for n in range(300_000))


def work():
    while True:
        litter()
        compute()


gc.callbacks.append(note)
threading.Thread(target=work, daemon=True).start()
print("ready {}", flush=True)
for _ in sys.stdin:
    print(json.dumps([collected[0], time.process_time()]), flush=True)
