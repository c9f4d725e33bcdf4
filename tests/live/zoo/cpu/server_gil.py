"""A thread per connection, all of them computing. Culprit: total_up. Decoys: a constant wait, and
render_page.
"""

import time

from serving import serve
from work import mendable, render_page


@mendable
def total_up(count: int) -> int:
    total = 0
    for i in range(count):
        total += (i * 13) % 29
    return total


def page() -> bytes:
    time.sleep(0.03)
    total_up(180_000)
    return render_page(20_000)


serve(page)
