"""A second batch, written when the rule already stood, to see how it does on edits it was not built
with.
"""
# ruff: noqa: E501  (other projects' lines, as they are)

from diffs.case import Case
from diffs.projects import SHOP
from diffs.projects_async import LIBRARY
from diffs.projects_stock import STOCK

CASES = (
    Case(
        "the same cache decorator on two handlers",
        "pass",
        "one mechanical edit at two sites",
        STOCK,
        {
            "stock/service.py": [
                ('@api.get("/stock")\n', '@api.get("/stock")\n@cached(60)\n'),
                ('@api.get("/stock/low")\n', '@api.get("/stock/low")\n@cached(60)\n'),
            ]
        },
    ),
    Case(
        "override and the method it extends",
        "pass",
        "StockRepository.get calls Repository.get through super()",
        STOCK,
        {
            "stock/base.py": [
                (
                    '"SELECT * FROM stock WHERE key = ?"',
                    '"SELECT key, count FROM stock WHERE key = ?"',
                )
            ],
            "stock/repository.py": [
                (
                    "return dict(row) if row else None",
                    'return {"key": row[0], "count": row[1]} if row else None',
                )
            ],
        },
    ),
    Case(
        "method of an annotated argument",
        "pass",
        "restock calls get of the StockRepository it is given",
        STOCK,
        {
            "stock/repository.py": [
                (
                    "        row = super().get(key)\n        return dict(row) if row else None\n",
                    "        return super().get(key)\n",
                )
            ],
            "stock/service.py": [
                ('    row["count"] += count\n', '    row = dict(row)\n    row["count"] += count\n')
            ],
        },
    ),
    Case(
        "method with a telling name on an object of unknown kind",
        "pass",
        "report calls low, and nothing else is called so",
        STOCK,
        {
            "stock/repository.py": [
                (
                    'return [key for key in self.all_keys() if self.get(key)["count"] < limit]',
                    "return self.keys_below(limit)",
                )
            ],
            "stock/service.py": [
                (
                    '    for key in repository.low(limit=limit):\n        lines.append(f"{key} is low")\n',
                    '    lines.extend(f"{key} is low" for key in repository.low(limit=limit))\n',
                )
            ],
        },
    ),
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
        "a typo in another function's message",
        "two-components",
        "harmless, but it is another edit of code; take it out or commit it first",
        STOCK,
        {
            "stock/service.py": [
                ('"could not notifiy the buyer"', '"could not notify the buyer"'),
                (
                    "return [repository.get(key) for key in repository.all_keys()]",
                    "return repository.every()",
                ),
            ]
        },
    ),
    Case(
        "debug output in an unrelated function",
        "two-components",
        "a print costs time as well",
        STOCK,
        {
            "stock/service.py": [
                ("        time.sleep(0.1 * attempt)\n", ""),
                ("    lines = []\n", "    print('report')\n    lines = []\n"),
            ]
        },
    ),
    Case(
        "log lines taken out of two handlers",
        "pass",
        "one mechanical edit at two sites",
        STOCK,
        {"stock/service.py": [('    log.info("all")\n', ""), ('    log.info("low")\n', "")]},
    ),
    Case(
        "a keyword parameter renamed with its callers",
        "nothing",
        "a signature ripple, the code is otherwise the same",
        STOCK,
        {
            "stock/repository.py": [
                ("def low(self, limit):", "def low(self, bound):"),
                ('["count"] < limit]', '["count"] < bound]'),
            ],
            "stock/service.py": [
                ("repository.low(limit=limit)", "repository.low(bound=limit)"),
                ("repository.low(limit=5)", "repository.low(bound=5)"),
            ],
        },
    ),
    Case(
        "class renamed with its users",
        "nothing",
        "a pure rename across files",
        STOCK,
        {
            "stock/repository.py": [("class StockRepository(", "class Stock(")],
            "stock/service.py": [
                ("import StockRepository", "import Stock"),
                ("repository: StockRepository", "repository: Stock"),
            ],
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
        "a function cut into two helpers",
        "pass",
        "both new helpers are called by the edited function alone",
        STOCK,
        {
            "stock/service.py": [
                (
                    '        answer = requests.post("http://mail/notify", json={"key": key, "count": count}, timeout=5)\n        if answer.ok:\n            return True\n        time.sleep(0.1 * attempt)\n',
                    "        if _post(key, count):\n            return True\n        _pause(attempt)\n",
                ),
                (
                    "def report(",
                    'def _post(key, count):\n    return requests.post("http://mail/notify", json={"key": key, "count": count}, timeout=1).ok\n\n\ndef _pause(attempt):\n    time.sleep(0.01 * attempt)\n\n\ndef report(',
                ),
            ]
        },
    ),
    Case(
        "two callers of an edited callee",
        "pass",
        "all three are joined by the method they meet in",
        STOCK,
        {
            "stock/repository.py": [
                ("def low(self, limit):", "def low(self, limit, page=0):"),
                ('["count"] < limit]', '["count"] < limit][page * 10 :]'),
            ],
            "stock/service.py": [
                ("repository.low(limit=limit)", "repository.low(limit, page=0)"),
                ("return repository.low(limit=5)", "return repository.low(5, page=1)"),
            ],
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
        "package renamed, one function edited",
        "pass",
        "the move is free",
        STOCK,
        {
            "inventory/service.py": [
                ("from stock.repository", "from inventory.repository"),
                ("time.sleep(0.1 * attempt)", "time.sleep(0.01)"),
            ],
            "inventory/repository.py": [("from stock.base", "from inventory.base")],
        },
        renames={
            f"stock/{n}.py": f"inventory/{n}.py"
            for n in ("base", "repository", "service", "config")
        },
    ),
    Case(
        "model method and an unrelated view",
        "two-components",
        "Book.label is not called by AuthorList",
        LIBRARY,
        {
            "library/books/models.py": [
                ('return f"{self.title} ({self.author.name})"', "return self.title")
            ],
            "library/books/views.py": [
                ("return Author.objects.all()", 'return Author.objects.only("name")')
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
