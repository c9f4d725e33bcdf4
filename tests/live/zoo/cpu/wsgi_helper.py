"""Work handed to one helper process. Culprit: simulate, in the helper. Decoy: render_page."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

from work import MARGIN, mendable, plain_answer, render_page, rounds_in

SIMULATION, PAGE = rounds_in(10.0), rounds_in(10.0 / MARGIN)


@mendable
def simulate(rounds: int) -> int:
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


def run(rounds: int) -> int:
    return simulate(rounds)


@cache
def helper() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("fork"))


def app(environ, start_response):
    helper().submit(run, SIMULATION).result()
    return plain_answer(start_response, render_page(PAGE))
