"""Edits of Python services: what functions share: constants, settings, sessions, caches."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.projects.asynchronous import FEED
from tests.git.diffs.projects.shop import SHOP
from tests.git.diffs.projects.stock import STOCK

SECOND = (
    Case(
        "a session kept for all requests",
        "pass",
        "the new module-level session is used by notify alone",
        STOCK,
        {
            "stock/service.py": [
                ("RETRIES = 3\n", "RETRIES = 3\nsession = requests.Session()\n"),
                ("answer = requests.post(", "answer = session.post("),
            ]
        },
    ),
    Case(
        "magic number made a constant",
        "pass",
        "the new constant serves the one edited function",
        STOCK,
        {
            "stock/service.py": [
                ("RETRIES = 3\n", "RETRIES = 3\nPAUSE = 0.05\n"),
                ("time.sleep(0.1 * attempt)", "time.sleep(PAUSE * attempt)"),
            ]
        },
    ),
    Case(
        "import with a fallback, used by the edited function",
        "pass",
        "the try block binds what the function uses",
        SHOP,
        {
            "shop/app.py": [
                (
                    "import json\nimport logging\n",
                    "import logging\n\ntry:\n    import orjson as fast\nexcept ImportError:\n    import json as fast\n",
                ),
                ("json.dumps(payload, sort_keys=True)", "fast.dumps(payload)"),
            ]
        },
    ),
    Case(
        "factory configuration and a handler",
        "two-components",
        "app.config acts on every response, list_items on one",
        SHOP,
        {
            "shop/app.py": [
                ('app.config["JSON_SORT_KEYS"] = True', 'app.config["JSON_SORT_KEYS"] = False'),
                ('        log.debug("listing %d items", len(rows))\n', ""),
            ]
        },
    ),
    Case(
        "setting and the code that reads it",
        "two-kinds",
        "CURRENCY was there before: its value is an edit of its own",
        SHOP,
        {
            "shop/settings.py": [('CURRENCY = "EUR"', 'CURRENCY = "USD"')],
            "shop/pricing.py": [
                (
                    "def rate_for(currency):\n",
                    "def rate_for(currency):\n    currency = currency.upper()\n",
                )
            ],
        },
    ),
    Case(
        "new setting for the edited function",
        "pass",
        "nothing else reads it",
        SHOP,
        {
            "shop/settings.py": [
                ("QUERY_TIMEOUT = 30\n", "QUERY_TIMEOUT = 30\nBUSY_TIMEOUT = 5\n")
            ],
            "shop/db.py": [
                (
                    "sqlite3.connect(settings.DATABASE)",
                    "sqlite3.connect(settings.DATABASE, timeout=settings.BUSY_TIMEOUT)",
                )
            ],
        },
    ),
    Case(
        "rewritten store that two functions share by name only",
        "two-components",
        "both have a local called rows; they never meet",
        STOCK,
        {
            "stock/service.py": [
                ("    lines = []\n", "    lines = list()\n"),
                (
                    "    row = repository.get(key)\n",
                    "    lines = repository.get(key)\n    row = lines\n",
                ),
            ],
        },
    ),
)
THIRD = (
    Case(
        "constant renamed with its users",
        "nothing",
        "a pure rename of a constant",
        STOCK,
        {
            "stock/service.py": [
                ("RETRIES = 3", "ATTEMPTS = 3"),
                ("range(RETRIES)", "range(ATTEMPTS)"),
            ]
        },
    ),
    Case(
        "cache time and pool size",
        "two-components",
        "a cache's time to live and a connection pool",
        FEED,
        {
            "feed/main.py": [("Cache(ttl=30)", "Cache(ttl=300)")],
            "feed/store.py": [("max_size=5", "max_size=20")],
        },
    ),
    Case(
        "cache instance and the class behind it",
        "pass",
        "main's cache is an instance of the edited class",
        FEED,
        {
            "feed/main.py": [("Cache(ttl=30)", "Cache(ttl=30, limit=100)")],
            "feed/cache.py": [
                (
                    "def __init__(self, ttl):\n        self.ttl = ttl\n",
                    "def __init__(self, ttl, limit=None):\n        self.ttl = ttl\n        self.limit = limit\n",
                )
            ],
        },
    ),
    Case(
        "response model gains two fields",
        "pass",
        "one class body",
        FEED,
        {
            "feed/main.py": [
                (
                    'return {"id": post["id"],',
                    'return {"id": post["id"], "kind": "post", "version": 2,',
                )
            ]
        },
    ),
)
CASES = (*SECOND, *THIRD)
