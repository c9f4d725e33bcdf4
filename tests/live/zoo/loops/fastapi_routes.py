"""Three routes of a FastAPI application, one of which costs nearly all. Culprit: rank_results.
Decoys: render_page in each, a long await in another.
"""

import asyncio

from fastapi import FastAPI, Response
from work import MARGIN, mendable, render_page, rounds_in

app = FastAPI()
RANKING, PAGE = rounds_in(12.0), rounds_in(12.0 / 3 / MARGIN)


@mendable
def rank_results(rounds: int) -> int:
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


@app.get("/")
async def home():
    return Response(render_page(PAGE))


@app.get("/search")
async def search():
    rank_results(RANKING)
    return Response(render_page(PAGE))


@app.get("/news")
async def news():
    await asyncio.sleep(0.04)
    return Response(render_page(PAGE))
