"""Other work on a host: burns one core half of the time, in spells of random length.

Spells on and off are exponential with the same mean. Prints nothing; ends when it is killed, or
when SECONDS have passed.
"""

import argparse
import random
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mean", type=float, default=20.0, help="seconds of a spell")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600.0, help="to live at most")
    asked = parser.parse_args()
    spells, ends = random.Random(asked.seed), time.monotonic() + asked.seconds
    while time.monotonic() < ends:
        time.sleep(spells.expovariate(1 / asked.mean))
        off_at = time.monotonic() + spells.expovariate(1 / asked.mean)
        while time.monotonic() < off_at:
            sum(range(1000))


if __name__ == "__main__":
    main()
