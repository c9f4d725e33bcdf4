"""Where the code does not settle who refuses, none is named, and those that may be are."""

from __future__ import annotations

from textwrap import dedent

import pytest

from perfhunt.analysis.diagnosis.answer.refusal.deciding import Candidates, Refusal, refusal_in
from tests.unit.analysis.diagnosis.refusal.reading import APP, candidates, named, read

UNSETTLED = {
    "another limiter": ("def gate():\n    if M > 3: abort(503)", ["gate", "limit"]),
    "a service behind it": (
        """
async def view():
    r = await client.get(URL)
    if r.status_code != 200:
        raise HTTPException(503, "upstream")
    return r.json()
""",
        ["limit", "view"],
    ),
    "a database that is not there": (
        """
def query(s): return s.all()
def view():
    try:
        with Session() as s:
            rows = query(s)
    except PoolTimeout:
        return "x", 503
""",
        ["limit", "query", "view"],
    ),
    "an answer that came too late": (
        """
async def load(): ...
async def view():
    try:
        return await load()
    except TimeoutError:
        raise HTTPException(503)
""",
        ["limit", "load", "view"],
    ),
    "an exception that a library raises": (
        """
app.add_exception_handler(RateLimitExceeded, told)
def told(request, exc):
    return JSONResponse({"e": 1}, status_code=503)
""",
        ["limit", "told"],
    ),
    "a limit of another service": (
        """
def view():
    try:
        return model.complete(prompt)
    except RateLimitError:
        return "later", 503
""",
        ["limit", "view"],
    ),
    "an exception that is made elsewhere": (
        """
class Busy(HTTPException):
    status_code = 503
pool = Pool(on_full=Busy)
""",
        ["Busy", "limit"],
    ),
    "the server's own limit": (
        "uvicorn.run(app, limit_concurrency=40)",
        ["limit", "limit_concurrency"],
    ),
    "a library that refuses by itself": (
        "from flask_limiter import Limiter",
        ["flask_limiter", "limit"],
    ),
}


@pytest.mark.parametrize("shape", UNSETTLED)
def test_none_is_named_beside_another_that_may_be(shape: str) -> None:
    text, expected = UNSETTLED[shape]
    limit = "def limit():\n    if N > 3: abort(503)\n"
    assert named(limit + text) == ""
    assert sorted(candidates(limit + text)) == expected


@pytest.mark.parametrize(
    "shape",
    [
        "a service behind it",
        "a database that is not there",
        "an answer that came too late",
        "an exception that a library raises",
        "a limit of another service",
        "an exception that is made elsewhere",
        "the server's own limit",
        "a library that refuses by itself",
    ],
)
def test_what_no_limiter_of_ours_writes_names_nobody(shape: str) -> None:
    text, _ = UNSETTLED[shape]
    assert isinstance(read(text), Candidates)


def test_an_exception_that_is_raised_in_two_places_names_both() -> None:
    text = """
        class Busy(Exception): ...
        def stock_gate():
            if A > 1: raise Busy()
        def pay_gate():
            if B > 1: raise Busy()
        @app.errorhandler(Busy)
        def told(e): return "x", 503
        """
    assert candidates(text) == ["pay_gate", "stock_gate"]


def test_of_what_was_tried_none_is_taken_for_the_one_that_refuses() -> None:
    text = """
        def enter(): ...
        def work(): ...
        def view():
            try:
                enter()
                return work()
            except Full:
                return "busy", 503
        """
    assert candidates(text) == ["enter", "view", "work"]
    raising = text.replace("def enter(): ...", "def enter():\n            if N > 3: raise Full")
    assert named(raising) == "enter"


def test_candidates_say_where_they_are() -> None:
    found = read("def a():\n    if N > 3: abort(503)\ndef b():\n    if M > 3: abort(503)")
    assert found == Candidates((f"a ({APP}:2)", f"b ({APP}:4)"), ())


@pytest.mark.parametrize("text", [None, "def limit(:"])
def test_a_file_that_could_not_be_read_may_hold_another(text: str | None) -> None:
    one = {APP: "def view():\n    if N > 3: abort(503)"}
    assert isinstance(refusal_in(one, 503), Refusal)
    found = refusal_in({**one, "/shop/limits.py": text}, 503)
    assert found == Candidates((f"view ({APP}:2)",), ("/shop/limits.py",))


HEALTH = """
    CHECKS = {}
    def database_up(): return CHECKS["db"] > 0
    @app.get("/healthz")
    def healthz():
        if not database_up():
            return "down", 503
        return "up"
"""
OTHER_ROUTES = {
    "a decorator": HEALTH,
    "a helper that it alone uses": """
        def check():
            if DB.broken > 3: abort(503)
        @app.get("/healthz")
        def healthz(): check()
        """,
    "a table of routes": """
        async def healthz(request):
            if not DB.ok: return Response(status_code=503)
        app = Starlette(routes=[Route("/", home), Route("/healthz", healthz)])
        """,
    "a table of Django's": """
        class Health(View):
            def get(self, request):
                if DB.broken > 3: return HttpResponse(status=503)
        urlpatterns = [path("", home), path("healthz/", Health.as_view())]
        """,
    "a rule that is added": """
        def healthz():
            if DB.broken > 3: abort(503)
        app.add_url_rule("/healthz", view_func=healthz)
        """,
    "a test of the path": """
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/healthz":
                    if DB.broken > 3: self.send_error(503)
        """,
    "a router with a prefix": """
        @router.get("/healthz")
        def healthz():
            if DB.broken > 3: abort(503)
        """,
}


@pytest.mark.parametrize("shape", OTHER_ROUTES)
def test_a_handler_of_another_route_is_none(shape: str) -> None:
    text = dedent(OTHER_ROUTES[shape])
    limit = "\ndef limit():\n    if N > 3: abort(503)\n"
    assert read(text, 503, "/p/a") is None
    assert named(text + limit, 503, "/p/a", "/p/{sku}") == "limit"
    assert len(candidates(text + limit, 503, "/p/a", "/api/healthz?full=1")) == 2


def test_without_the_paths_that_were_asked_no_handler_of_a_route_is_named() -> None:
    assert candidates(OTHER_ROUTES["a test of the path"]) == ["Handler.do_GET"]
    assert candidates(HEALTH) == ["database_up"]
    assert named(HEALTH, 503, "/healthz") == "database_up"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/p/<int:sku>", "/p/7", True),
        ("/p/{sku}", "/p/{sku}", True),
        ("/p/:sku/buy", "/p/7/buy", True),
        ("/p/<sku>", "/q/7", False),
        ("/p/a", "/p/{sku}", True),
        ("/p/a", "/p/b", False),
        ("/files/{rest:path}", "/files/a/b", True),
        ("/a/b/c", "/c", False),
        ("/b", "/a/b", True),
        ("/b", "/a/{x}", False),
    ],
)
def test_routes_and_paths_are_compared_piece_by_piece(pattern: str, path: str, fits: bool) -> None:
    text = f"@app.get('{pattern}')\ndef view():\n    if N > 3: abort(503)"
    assert named(text, 503, path) == ("view" if fits else "")
