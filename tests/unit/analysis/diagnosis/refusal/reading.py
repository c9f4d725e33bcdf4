"""Code of the shapes that people write, read for who refuses."""

from __future__ import annotations

from textwrap import dedent

from perfhunt.analysis.diagnosis.answer.refusal.deciding import Candidates, Refusal, refusal_in

APP = "/shop/app.py"


def read(text: str, status: int = 503, *paths: str, **others: str) -> Refusal | Candidates | None:
    """What is read in `app.py` and the modules beside it, for requests of these paths."""
    sources = {APP: dedent(text)} | {f"/shop/{n}.py": dedent(t) for n, t in others.items()}
    return refusal_in(sources, status, paths)


def named(text: str, status: int = 503, *paths: str, **others: str) -> str:
    """The function that is named; "" where none is."""
    found = read(text, status, *paths, **others)
    return found.function[0] if isinstance(found, Refusal) else ""


def candidates(text: str, status: int = 503, *paths: str, **others: str) -> list[str]:
    """The functions that may be, where none is named."""
    found = read(text, status, *paths, **others)
    return [place.split()[0] for place in found.places] if isinstance(found, Candidates) else []
