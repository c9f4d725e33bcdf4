"""Coroutines that wait for PostgreSQL, which reads a whole table for each. Culprit: find_customer.
Decoys: a long await, and render_page.
"""

import asyncio
import os

import psycopg
from fastapi import FastAPI, Response
from work import MARGIN, mendable, render_page, rounds_in

app = FastAPI()
PAGE = rounds_in(6.0 / MARGIN)
DATABASE = f"host=127.0.0.1 port={os.environ.get('NEIGHBOUR')} user=zoo dbname=postgres"
FREE: list[psycopg.AsyncConnection] = []


@mendable
async def find_customer(number: int) -> list[tuple]:
    db = FREE.pop() if FREE else await psycopg.AsyncConnection.connect(DATABASE, autocommit=True)
    query = "SELECT id, total FROM orders WHERE customer = %s ORDER BY total LIMIT 5"
    found = await (await db.execute(query, (number,))).fetchall()
    FREE.append(db)
    return found


@app.get("/")
async def customer():
    await asyncio.sleep(0.02)
    await find_customer(17)
    return Response(render_page(PAGE))
