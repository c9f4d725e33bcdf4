"""A test that asks one function of the application, and that by a name the code itself settles, is
decided there.
"""

from __future__ import annotations

import pytest

from perfhunt.analysis.diagnosis.answer.refusal.deciding import Refusal
from tests.unit.analysis.diagnosis.refusal.reading import APP, named, read

GATE = """
class Gate:
    def admit(self):
        self.n += 1
        return self.n < 4
class Other:
    def admit(self): return self.n < 9
"""
MET = {
    "an import by another name": """
        from shop.limits import gate as g
        def view():
            if not g.admit(): abort(503)
        """,
    "a module's attribute": """
        import limits
        def view():
            if not limits.gate.admit(): abort(503)
        """,
    "a relative import": """
        from . import limits
        def view():
            if not limits.gate.admit(): abort(503)
        """,
    "an assignment at the top": """
        from limits import Gate
        G = Gate()
        def view():
            if not G.admit(): abort(503)
        """,
    "an assignment to self": """
        from limits import Gate
        class View:
            def __init__(self): self.g = Gate()
            def __call__(self, r):
                if not self.g.admit(): abort(503)
        """,
    "a parameter kept on self, or made": """
        from limits import Gate
        class View:
            def __init__(self, app, g: "Gate | None" = None): self.g = g or Gate()
            async def __call__(self, scope, receive, send):
                if not self.g.admit():
                    await send({"type": "http.response.start", "status": 503, "headers": []})
        """,
    "an annotated parameter": """
        from limits import Gate
        def view(g: Gate):
            if not g.admit(): abort(503)
        """,
    "what a function is said to return": """
        from limits import Gate
        def made() -> Gate: ...
        def view():
            g = made()
            if not g.admit(): abort(503)
        """,
    "a parameter by its class's name": """
        def view(gate):
            if not gate.admit(): abort(503)
        """,
    "a setting beside it": """
        from limits import gate
        def view():
            if settings.ENABLED and not gate.admit(): abort(503)
        """,
    "a variable": """
        from limits import gate
        def view():
            ok = gate.admit()
            metrics.incr("asked")
            if not ok:
                resp = make_response("busy")
                resp.status_code = 503
                return resp
        """,
    "one that asks it in turn": """
        from limits import gate
        def admitted(): return gate.admit()
        def view():
            if not admitted(): abort(503)
        """,
    "an exception of ours": """
        from limits import gate
        class Busy(Exception): ...
        def claim():
            if not gate.admit(): raise Busy
        def handle(exc):
            if isinstance(exc, Busy):
                return JSONResponse({}, status_code=503)
        """,
    "a decorator, and how its answer looks": """
        from limits import gate
        def limited(f):
            def wrapper(*a, **k):
                if not gate.admit():
                    abort(503)
                return f(*a, **k)
            return wrapper
        @app.errorhandler(503)
        def busy(e):
            return render(e), 503
        """,
    "a status of an enumeration of ours": """
        from limits import gate
        class Code(IntEnum):
            BUSY = 503
        def view():
            if not gate.admit(): return error(Code.BUSY)
        """,
    "a status of a class of ours": """
        from limits import gate
        class Cfg: BUSY = 503
        def view():
            if not gate.admit(): return error(Cfg.BUSY)
        """,
}


@pytest.mark.parametrize("shape", MET)
def test_one_that_the_code_settles_is_named(shape: str) -> None:
    found = read(MET[shape], limits=f"{GATE}gate = Gate()\n")
    assert isinstance(found, Refusal), found
    assert found.function == ("Gate.admit", "/shop/limits.py")
    assert found.line == 3 and APP in found.written


OF_BASES = {
    "an abstract method": "raise NotImplementedError",
    "one that is marked so": "...",
}


@pytest.mark.parametrize("shape", OF_BASES)
def test_of_an_abstract_class_with_one_implementation_that_is_named(shape: str) -> None:
    text = f"""
        class Limiter(ABC):
            def allow(self): {OF_BASES[shape]}
        class TokenBucket(Limiter):
            def allow(self): return self.t > 0
        class Mw:
            def __init__(self, limiter: Limiter): self.limiter = limiter
            def dispatch(self, request):
                if not self.limiter.allow(): return Response(status_code=503)
        """
    assert named(text) == "TokenBucket.allow"
    second = "class Window(Limiter):\n            def allow(self): return self.n < 9\n"
    assert named(text + second) == "Mw.dispatch"


def test_a_method_that_another_class_replaces_is_not_taken_for_the_one_that_runs() -> None:
    text = """
        class Limited:
            def over(self): return self.n > 9
            def __call__(self, r):
                if self.over(): abort(503)
        """
    assert named(text) == "Limited.over"
    text += "class Strict(Limited):\n            def over(self): return self.n > 3\n"
    assert named(text) == "Limited.__call__"


def test_of_a_protocol_the_only_class_that_has_the_method_is_named() -> None:
    text = """
        class Allows(Protocol):
            def allow(self) -> bool: ...
        class TokenBucket:
            def allow(self): return self.t > 0
        def view(allows: Allows):
            if not allows.allow(): abort(503)
        """
    assert named(text) == "TokenBucket.allow"


def test_what_is_left_is_decided_by_who_works_it_out_and_a_number_on_the_spot_by_its_place() -> (
    None
):
    text = """
        def remaining(ip): return LIMIT - HITS[ip]
        def view():
            if (n := remaining(ip)) <= 0:
                abort(503)
        """
    assert named(text) == "remaining"
    assert named(text.replace("<= 0", "<= 5")) == "view"


def test_part_of_what_is_returned_may_say_it() -> None:
    text = """
        class Window:
            def hit(self):
                if self.n > 3: return False, 1.0
                return True, 0
        w = Window()
        def view():
            ok, wait = w.hit()
            if not ok: return "x", 503
        """
    assert named(text) == "Window.hit"


def test_what_with_enters_is_named_by_the_exception_that_it_raises() -> None:
    text = """
        class Gate:
            def __enter__(self):
                if self.n > 3: raise Busy()
            def __exit__(self, *a): ...
        def page(): ...
        def view():
            try:
                with Gate():
                    return page()
            except Busy:
                return "x", 503
        """
    assert named(text) == "Gate.__enter__"


def test_names_that_lead_in_circles_end() -> None:
    text = """
        a = b.x
        b = a.y
        class C(C.base): ...
        def view():
            if a.x() or C.z(): abort(503)
            if a.x(): raise C
        """
    assert named(text) == "view"
