"""Requests handed to one worker thread. Culprit: transcode (in that thread). Decoy: render_page."""

import queue
import threading
import time

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(7.0 / MARGIN)  # the one worker takes 7 ms

JOBS: queue.Queue = queue.Queue()


@mendable
def transcode(name: str) -> str:
    time.sleep(0.007)
    return name.upper()


def serve_jobs() -> None:
    while True:
        name, done, answer = JOBS.get()
        answer.append(transcode(name))
        done.set()


def submit(name: str) -> str:
    done, answer = threading.Event(), []
    JOBS.put((name, done, answer))
    done.wait()
    return answer[0]


threading.Thread(target=serve_jobs, daemon=True).start()


def app(environ, start_response):
    page = render_page(PAGE)
    submit("film")
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
