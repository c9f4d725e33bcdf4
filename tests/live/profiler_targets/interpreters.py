"""Two busy threads: one runs `in_main` in the main interpreter, one `in_sub` in another that the
main thread made. Prints `ready {"main": TID, "sub": TID}`.
"""

import importlib
import json
import sys
import threading
import time

# A module of the interpreter itself, which no package has.
OWN = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
interpreters = importlib.import_module(OWN)
execute = getattr(interpreters, "exec", None) or interpreters.run_string

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
