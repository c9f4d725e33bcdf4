"""The function that refuses, read in code of the shapes that people write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.analysis.diagnosis.answer.refusal.deciding import Refusal
from tests.unit.analysis.diagnosis.refusal.reading import APP, read

SHAPES = {
    "a test before the answer": (
        """
        def too_many(): return len(INSIDE) >= 6
        async def home(request):
            if too_many():
                return Response(status_code=503)
            return Response("page")
        """,
        "too_many",
    ),
    "WSGI's line": (
        """
        def over_limit(): ...
        def app(environ, start_response):
            if over_limit():
                start_response("503 Service Unavailable", [])
                return [b""]
            return page()
        def page(): ...
        """,
        "over_limit",
    ),
    "the answer after a test that leaves": (
        """
        class Bucket:
            def take(self): ...
        def view():
            if BUCKET.take():
                return "page"
            return "busy", 503
        """,
        "Bucket.take",
    ),
    "a variable in between": (
        """
        def admitted(user): ...
        def view():
            allowed = admitted(1)
            log("asked")
            if not allowed:
                abort(503)
            return "page"
        """,
        "admitted",
    ),
    "a conditional expression": (
        """
        def full(): ...
        def view():
            return reply(503 if full() else 200)
        """,
        "full",
    ),
    "a count compared on the spot": (
        """
        class Limit:
            async def dispatch(self, request, call_next):
                if self.active >= 8:
                    return JSONResponse({}, status_code=HTTPStatus.SERVICE_UNAVAILABLE)
                return await call_next(request)
        """,
        "Limit.dispatch",
    ),
    "an exception of ours": (
        """
        class Busy(Exception):
            status_code = 503
        def claim():
            if len(SLOTS) > 5:
                raise Busy
        def view():
            claim()
            return "page"
        """,
        "claim",
    ),
    "a handler of an exception": (
        """
        class Busy(Exception): ...
        def claim():
            if SLOTS.full():
                raise Busy("full")
        @app.exception_handler(Busy)
        async def refused(request, error):
            return JSONResponse({}, status_code=503)
        async def view():
            claim()
        """,
        "claim",
    ),
    "a helper that makes the answer": (
        """
        BUSY = 503
        def refuse(): return Response(status=BUSY)
        def slot_free(): ...
        def view():
            if not slot_free():
                return refuse()
            return Response("page")
        """,
        "slot_free",
    ),
    "what was tried": (
        """
        def enter():
            if len(INSIDE) > 6: raise QueueFull
        async def view():
            try:
                enter()
            except QueueFull:
                await send({"type": "http.response.start", "status": 503})
        """,
        "enter",
    ),
    "an exception of the framework": (
        """
        def claimed(): ...
        async def view(request):
            if claimed():
                raise web.HTTPServiceUnavailable()
        """,
        "claimed",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_who_decides_is_named(shape: str) -> None:
    text, function = SHAPES[shape]
    refusal = read(text)
    assert isinstance(refusal, Refusal)
    assert refusal.function == (function, APP)


def test_it_is_said_where_the_status_is_written() -> None:
    refusal = read(SHAPES["a test before the answer"][0])
    assert isinstance(refusal, Refusal)
    assert (refusal.line, refusal.written) == (2, f"home ({APP}:5)")


def test_who_decides_may_be_in_another_file() -> None:
    limits = "class Gate:\n    def closed(self): ..."
    text = "def view():\n    if GATE.closed():\n        return 'busy', 503\n    return 'page'"
    refusal = read(text, limits=limits)
    assert isinstance(refusal, Refusal) and refusal.function == ("Gate.closed", "/shop/limits.py")


@pytest.mark.parametrize(
    "text",
    [
        "def view():\n    return Response('page')",
        "def view():\n    if answer.status == 503:\n        retry()",
        "def view():\n    if answer.status in (429, 503):\n        retry()",
        "RETRIED = {502, 503}",
        "def view():\n    connect(port=503)",
        "def view():\n    total = 503",
    ],
)
def test_a_number_that_is_no_answer_is_none(text: str) -> None:
    assert read(text) is None


def test_another_status_is_another_refusal() -> None:
    text = SHAPES["a test before the answer"][0].replace("503", "429")
    assert read(text) is None and read(text, 429) is not None
    assert read(text, 0) is None and read(text, 999) is None


@given(st.lists(st.sampled_from([line for t, _ in SHAPES.values() for line in t.splitlines()])))
def test_no_text_is_too_odd(lines: list[str]) -> None:
    read("\n".join(lines))


def test_what_is_nested_too_deep_to_read_is_left_out() -> None:
    deep = "def view():\n" + "".join(f"{' ' * n}if a:\n" for n in range(1, 95)) + " " * 95 + "x()"
    read(deep + "\n" + "x = " + "-" * 5000 + "1")
