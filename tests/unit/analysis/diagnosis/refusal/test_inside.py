"""The function with the test whose branch writes the status is named, whatever it reads there."""

from __future__ import annotations

import pytest

from tests.unit.analysis.diagnosis.refusal.reading import named

LIMIT = {
    "a semaphore, beside a class with a method of that name": """
        class Cart:
            def acquire(self): ...
        @app.before_request
        def limit():
            if not SEM.acquire(blocking=False):
                return "busy", 503
        @app.get("/")
        def home(): return Cart().acquire()
        """,
    "a dictionary, beside a view's get": """
        class Product(MethodView):
            def get(self, sku): return render(sku)
        COUNTS = {}
        def limit():
            if COUNTS.get(request.remote_addr, 0) > 10:
                abort(503)
        """,
    "a counter of a library, by a name of ours": """
        class Store:
            def incr(self, k): return k > 3
        def limit():
            n = redis.incr("k")
            if n > 10:
                abort(503)
        """,
    "builtins by names of ours": """
        class Basket:
            def any(self): ...
            def len(self): ...
        def limit():
            if len(Q) > 5: abort(503)
        """,
    "whose request it is": """
        def client_ip(): return request.headers.get("x-forwarded-for")
        def limit():
            ip = client_ip()
            if len(HITS[ip]) >= 30:
                return "slow down", 503
        """,
    "the time": """
        def now(): return time.monotonic() - START
        def limit():
            t = now()
            if HITS[-5] > t - 1: abort(503)
        """,
    "the limit itself": """
        def setting(name): return int(os.environ[name]) if name in os.environ else 8
        def limit():
            if len(HITS) >= setting("MAX"):
                abort(503)
        """,
    "a list that was cleaned up before": """
        def prune(hits): return [h for h in hits if h > 0]
        def limit():
            hits = prune(HITS)
            if len(hits) >= 30:
                abort(503)
        """,
    "an attribute of what was loaded": """
        def load_user(): return User(3)
        def limit():
            user = load_user()
            if user.active >= 5:
                abort(503)
        """,
    "a test of somebody else before": """
        def parse_user(r): return r.user if r.user else None
        def limit(r):
            user = parse_user(r)
            if user is None:
                return "no", 401
            if ACTIVE[user] > 6:
                return "busy", 503
        """,
    "a variable that is another one by then": """
        def compute(): return N > 3
        def limit():
            n = compute()
            n = COUNTER.value
            if n: abort(503)
        """,
    "a match": """
        def state(): return "busy" if N > 3 else "calm"
        def limit():
            match state():
                case "busy": return "x", 503
                case _: return "ok"
        """,
    "two of ours": """
        def closed(): return N > 3
        def over(): return N > 5
        def limit():
            if closed() or over():
                abort(503)
        """,
    "a function of ours that compares nothing": """
        def open_now(): return FLAGS.get("open", True)
        def limit():
            if not open_now():
                abort(503)
        """,
    "a full queue of a library": """
        class Bus:
            def put_nowait(self, x): ...
        def limit():
            try:
                Q.put_nowait(1)
            except queue.Full:
                return "x", 503
        """,
    "a name of ours that is imported from elsewhere": """
        from redis import redis
        class Redis:
            def blocked(self, k): return k > 3
        def limit():
            if redis.blocked("k"): abort(503)
        """,
    "two limiters, and no word of which": """
        class Bucket:
            def allow(self): return self.n > 0
        class Window:
            def allow(self): return self.n < 9
        def limit(limiter):
            if not limiter.allow(): abort(503)
        """,
    "two ways to say it": """
        def limit(r):
            if len(HITS) > 3:
                if r.json: return jsonify({}), 503
                return "busy", 503
            return page()
        """,
    "the name of the status as a status line's variable": """
        def limit(environ, start_response):
            status = "200 OK"
            if ACTIVE >= 6:
                status = "503 Service Unavailable"
            start_response(status, [])
            return [b""]
        """,
    "an f-string": """
        def limit(environ, reply):
            code = 200
            if N > 4: code = 503
            reply(f"{code} X", [])
        """,
    "the status on the answer, in Django": """
        def limit(request):
            response = get_response(request)
            if N >= 4:
                response.status_code = 503
            return response
        """,
    "an exception that sets it in its constructor": """
        class Busy(HTTPException):
            def __init__(self, wait):
                super().__init__(status_code=503, detail="busy")
        class Other(Base):
            def __init__(self): super().__init__()
        def limit(request):
            if HITS[request.client.host] > 30:
                raise Busy(3)
        def elsewhere(): raise Other()
        """,
    "a constant of another file": """
        from codes import BUSY
        def limit():
            if len(HITS) > 3: return reply(BUSY)
        """,
    "a table of statuses": """
        CODES = {"busy": 503, "gone": 410}
        def limit():
            if len(HITS) > 3: return error(CODES["busy"])
        def other(): return error(CODES["gone"]) if N > 3 else page()
        """,
    "a table of another file": """
        from codes import TABLE as T
        def limit():
            if len(HITS) > 3: return error(T.get(kind))
        """,
    "what a helper answers by default": """
        def fail(text, status=503): return Response(text, status=status)
        def limit():
            if len(HITS) > 3: return fail("x")
        """,
    "a dependency": """
        async def limit():
            if n > 5:
                raise HTTPException(status_code=503, detail="x")
            yield
        @app.get("/", dependencies=[Depends(limit)], responses={503: {"description": "x"}})
        async def home(): ...
        """,
}


@pytest.mark.parametrize("shape", LIMIT)
def test_what_a_test_reads_does_not_decide(shape: str) -> None:
    assert named(LIMIT[shape], codes="BUSY = 503\nTABLE = {1: BUSY, 2: 503}") == "limit"


BESIDE = {
    "a seed": "def sample(): return Random(503).random()",
    "a port": "def main(): run('0.0.0.0', 503)",
    "a pause": "def view():\n    time.sleep(503)",
    "a width": "def view():\n    resize(width=503)",
    "a text": "def banner():\n    print('503 items loaded')",
    "pixels": "def css():\n    return '503px'",
    "a log": "def note():\n    log.error('503 Service Unavailable')",
    "a docstring": "def note():\n    '''503 Service Unavailable'''",
    "a counter": "def note():\n    metrics.count_service_unavailable(1)",
    "what is tried again": "def client():\n    return Retry(total=3, status_forcelist=[429, 503])",
    "a setting": "def settings():\n    return {'status_retry': 503}",
    "a default": "class Err:\n    code: int = 503",
    "a comparison": "def call():\n    if post().status_code == 503: return again()",
    "another status": "def view():\n    if N > 3: abort(429)",
    "a test": "def test_busy():\n    assert_status(client.get('/'), 503)",
    "a stub that nobody uses": "def stub():\n    return Response(status=503)",
    "how it looks": "@app.errorhandler(503)\ndef busy(e):\n    return render(e), 503",
    "how it looks, by kind": """
@app.errorhandler(503)
def busy(e):
    if request.is_json: return jsonify({}), 503
    return render(e), 503
""",
}


@pytest.mark.parametrize("other", BESIDE)
def test_what_is_no_decision_is_no_candidate(other: str) -> None:
    limit = "def limit():\n    if N > 3: abort(503)\n"
    assert named(BESIDE[other]) == ""
    assert named(limit + BESIDE[other]) == "limit"
    assert named(limit, others=BESIDE[other]) == "limit"
