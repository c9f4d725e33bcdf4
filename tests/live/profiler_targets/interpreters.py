"""Two busy threads: one runs `in_main` in the main interpreter, one `in_sub` in another that the
main thread made. Prints `ready {"main": TID, "sub": TID}`.
"""

import json
import threading
import time

try:
    import _interpreters as interpreters

    execute = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters

    execute = interpreters.run_string

# In 3.11 a thread of another interpreter is not asked to give up the GIL, which it does to sleep.
CODE = """
import time

def in_sub():
    while True:
        sum(range(100_000))
        time.sleep(0)

in_sub()
"""
made = interpreters.create()


def in_main():
    while True:
        sum(range(1000))


def enters_sub():
    execute(made, CODE)


threads = [threading.Thread(target=work, daemon=True) for work in (in_main, enters_sub)]
for thread in threads:
    thread.start()
print("ready", json.dumps({"main": threads[0].native_id, "sub": threads[1].native_id}), flush=True)
time.sleep(1000)
