"""The services of the zoo, by kind: each has one known culprit, and classes of bottleneck that name
it rightly.
"""

from __future__ import annotations

from tests.live.zoo.animals import (
    animal,
    forked,
    granian,
    greenlets,
    hypercorn,
    script,
    threads,
    uvicorn,
)

COMPUTE = (
    animal("forked-cpu", "cpu", forked("wsgi_cpu", 4), "price_basket", "cpu"),
    animal("regex", "cpu", threads("wsgi_regex", 24), "check_address", "gil"),
    animal("gil", "cpu", script("server_gil"), "total_up", "gil"),
    animal("hash", "cpu", threads("wsgi_hash", 8), "hash_password", "cpu gil"),
    animal("hot-leaves", "cpu flask", threads("flask_leaves", 16), "price_cart", "gil"),
    animal(
        "django-routes",
        "cpu django",
        forked("django_routes", 3),
        "tax_table",
        "cpu",
        paths=("/cart", "/invoice", "/"),
    ),
    animal("json", "cpu flask waitress", script("waitress_json"), "list_catalogue", "gil"),
    animal("zlib", "cpu", script("server_zlib"), "pack_archive", "cpu gil"),
    animal(
        "gevent-cpu", "cpu gevent", greenlets("gevent_report"), "build_report", "event-loop gil cpu"
    ),
    animal("cherrypy-regex", "cpu cherrypy", script("cherrypy_regex"), "find_total", "gil"),
    animal("helper", "cpu", threads("wsgi_helper", 16), "simulate", "cpu pool workers"),
)
LOOPS = (
    animal(
        "blocking",
        "loops starlette",
        uvicorn("asgi_blocking"),
        "load_profile",
        "event-loop-blocked",
    ),
    animal("loop-cpu", "loops starlette", uvicorn("asgi_cpu"), "score_items", "event-loop"),
    animal("rare", "loops starlette", uvicorn("asgi_rare"), "export_rows", "event-loop"),
    animal("loop-leaves", "loops aiohttp", script("aiohttp_leaves"), "match_offers", "event-loop"),
    animal(
        "fastapi-routes",
        "loops fastapi",
        uvicorn("fastapi_routes"),
        "rank_results",
        "event-loop",
        paths=("/", "/search", "/news"),
    ),
    animal(
        "tornado-blocking",
        "loops tornado",
        script("tornado_blocking"),
        "find_session ask",
        "event-loop-blocked",
        neighbour_ms=6,
    ),
    animal(
        "aiohttp-blocking",
        "loops aiohttp",
        script("aiohttp_blocking"),
        "load_settings",
        "event-loop-blocked",
    ),
    animal("tornado-cpu", "loops tornado", script("tornado_cpu"), "lay_out", "event-loop"),
    animal(
        "loop-json",
        "loops starlette",
        granian("granian_json", "--interface", "asgi"),
        "export_stock",
        "event-loop",
    ),
    animal(
        "loop-hash", "loops starlette", hypercorn("hypercorn_hash"), "check_password", "event-loop"
    ),
    animal(
        "loop-logging", "loops starlette", uvicorn("asgi_logging"), "emit", "event-loop-blocked"
    ),
)
AWAITS = (
    animal(
        "asgi-downstream",
        "coroutines starlette",
        uvicorn("asgi_downstream"),
        "fetch_rates",
        "downstream pool",
        neighbour_ms=40,
    ),
    animal(
        "await-pool",
        "coroutines aiohttp",
        script("aiohttp_pool"),
        "read_balance ask_awaited",
        "pool",
        neighbour_ms=16,
    ),
    animal(
        "await-semaphore",
        "coroutines fastapi uvloop",
        uvicorn("uvloop_semaphore", "--loop", "uvloop"),
        "fetch_quote ask_awaited",
        "pool downstream",
        neighbour_ms=20,
    ),
    animal("await-lock", "coroutines aiohttp", script("aiohttp_lock"), "renew_token", "lock"),
    animal(
        "await-queue",
        "coroutines starlette",
        hypercorn("hypercorn_queue"),
        "send_push",
        "pool sleep workers",
    ),
    animal(
        "await-limiter",
        "coroutines starlette anyio",
        granian("granian_limiter", "--interface", "asgi"),
        "call_partner",
        "pool sleep",
    ),
)
LOCKS = (
    animal("lock", "locks", threads("wsgi_lock", 16), "reserve_stock", "lock"),
    animal("flock", "locks", forked("wsgi_flock", 4), "update_counter", "lock"),
    animal("logging", "locks", threads("wsgi_logging", 16), "emit", "lock"),
    animal("gevent-lock", "locks gevent", greenlets("gevent_lock"), "reserve_seat", "lock"),
    animal("rlock", "locks cherrypy", script("cherrypy_rlock"), "update_index", "lock"),
    animal("condition", "locks", script("server_condition"), "print_label", "pool lock"),
    animal(
        "granian-lock",
        "locks",
        granian("granian_lock", "--interface", "wsgi", "--blocking-threads", "16"),
        "claim_ticket",
        "lock",
    ),
)
POOLS = (
    animal(
        "worker-queue",
        "pools",
        threads("wsgi_worker_queue", 16),
        "transcode",
        "lock pool sleep workers",
    ),
    animal(
        "semaphore",
        "pools",
        threads("wsgi_semaphore", 16),
        "query_replica",
        "pool",
        neighbour_ms=25,
    ),
    animal("pool", "pools", threads("wsgi_pool", 16), "load_cart", "pool", neighbour_ms=16),
    animal(
        "asgi-threads",
        "pools starlette anyio",
        uvicorn("asgi_threads"),
        "send_mail",
        "workers sleep pool",
        users=32,
    ),
    animal("executor", "pools starlette", uvicorn("asgi_executor"), "read_ledger", "workers sleep"),
    animal(
        "waitress-threads",
        "pools flask waitress",
        script("waitress_threads"),
        "charge_card ask",
        "workers downstream",
        neighbour_ms=30,
    ),
    animal(
        "tornado-executor",
        "pools tornado",
        script("tornado_executor"),
        "render_pdf",
        "workers sleep pool",
    ),
    animal(
        "sqlalchemy-pool",
        "pools flask sqlalchemy",
        threads("sqlalchemy_pool", 16),
        "close_books ask",
        "pool",
        neighbour_ms=16,
    ),
)
DOWNSTREAM = (
    animal(
        "forked-downstream",
        "downstream",
        forked("wsgi_downstream", 4),
        "ask_inventory",
        "downstream",
        neighbour_ms=40,
    ),
    animal(
        "n-plus-one",
        "downstream",
        threads("wsgi_n_plus_one", 8),
        "list_orders get_customer",
        "downstream workers",
        neighbour_ms=8,
    ),
    animal(
        "forked-n-plus-one",
        "downstream flask",
        forked("flask_n_plus_one", 4),
        "list_prices price_of ask",
        "downstream workers",
        neighbour_ms=6,
    ),
    animal(
        "nginx",
        "downstream",
        threads("wsgi_nginx", 16),
        "fetch_stock ask",
        "downstream",
        behind="nginx",
    ),
    animal(
        "pricer",
        "downstream",
        threads("wsgi_pricer", 16),
        "ask_pricer ask",
        "downstream",
        behind="pricer",
        neighbour_ms=8,
    ),
    animal(
        "loop-pricer",
        "downstream aiohttp",
        script("aiohttp_pricer"),
        "get_estimate ask_awaited",
        "downstream",
        behind="pricer",
        neighbour_ms=8,
    ),
    animal(
        "gevent-downstream",
        "downstream gevent",
        greenlets("gevent_downstream"),
        "ask_weather ask",
        "pool downstream",
        neighbour_ms=24,
    ),
)
STORES = (
    animal("sqlite", "storage", threads("wsgi_sqlite", 12), "record_order", "lock disk"),
    animal("fsync", "storage", forked("wsgi_fsync", 2), "append_journal", "disk"),
    animal(
        "receipt", "storage flask waitress", script("waitress_receipt"), "save_receipt", "disk lock"
    ),
    animal("forked-sqlite", "storage flask", forked("flask_sqlite", 4), "post_entry", "lock sleep"),
    animal(
        "postgres",
        "databases psycopg",
        threads("wsgi_postgres", 8),
        "recent_orders",
        "database",
        behind="postgres",
    ),
    animal(
        "await-postgres",
        "databases fastapi psycopg",
        uvicorn("fastapi_postgres"),
        "find_customer",
        "database",
        behind="postgres",
    ),
    animal(
        "redis",
        "databases redis",
        threads("wsgi_redis", 16),
        "list_sessions",
        "database downstream",
        behind="redis",
    ),
    animal(
        "await-redis",
        "databases aiohttp redis",
        script("aiohttp_redis"),
        "count_visitors",
        "database downstream",
        behind="redis",
    ),
    animal(
        "connecting",
        "databases psycopg",
        threads("wsgi_connecting", 8),
        "open_ledger",
        "connections database",
        behind="postgres",
        load=0.6,  # it connects on the same cores: in a burst the database is behind for seconds
    ),
)
WIRE = (
    animal(
        "delayed-ack",
        "wire",
        script("server_segments"),
        "send_page",
        "delayed-ack",
        limit=0.03,
    ),
    animal("two-pieces", "wire", script("socket_segments"), "reply", "delayed-ack", limit=0.03),
    animal(
        "sessions",
        "wire aiohttp",
        script("aiohttp_sessions"),
        "ask_rates",
        "connections event-loop",
        neighbour_ms=2,
    ),
    # Connections that are dropped and tried again make its burst look like far less than it holds.
    animal(
        "backlog",
        "wire",
        script("server_backlog"),
        "write_audit",
        "backlog workers sleep",
        searched=True,
    ),
    animal(
        "forked-backlog",
        "wire",
        forked("wsgi_backlog", 2, "--backlog", "4"),
        "stamp_receipt",
        "backlog workers sleep",
        searched=True,
    ),
    # A limiter is told by the search: nothing is slow below what it lets through.
    animal("limiter", "wire", threads("wsgi_limiter", 16), "over_limit", "limiter", searched=True),
    animal(
        "loop-limiter",
        "wire starlette",
        uvicorn("asgi_limiter"),
        "too_many",
        "limiter",
        searched=True,
    ),
)
ZOO = (*COMPUTE, *LOOPS, *AWAITS, *LOCKS, *POOLS, *DOWNSTREAM, *STORES, *WIRE)
