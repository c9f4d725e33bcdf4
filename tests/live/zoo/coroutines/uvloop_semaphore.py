"""Three permits for a slow neighbour, under uvloop. Culprit: fetch_quote. Decoy: render_page."""

import asyncio

from asking import ask_awaited
from fastapi import FastAPI, Response
from work import MARGIN, mendable, render_page, rounds_in

app = FastAPI()
PAGE = rounds_in(20.0 / 3 / MARGIN)  # three permits, 20 ms each
PERMITS = asyncio.Semaphore(3)


@mendable
async def fetch_quote() -> bytes:
    async with PERMITS:
        return await ask_awaited("/quote")


@app.get("/")
async def quote():
    await fetch_quote()
    return Response(render_page(PAGE))
