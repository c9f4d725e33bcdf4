"""Edits of Python services: callers and callees, methods and what they override, renames."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.projects.asynchronous import FEED, LIBRARY
from tests.git.diffs.projects.shop import SHOP
from tests.git.diffs.projects.stock import STOCK

SECOND = (
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
)
THIRD = (
    Case(
        "a list comprehension in place of a loop, and its caller's argument",
        "pass",
        "report and monthly are caller and callee",
        STOCK,
        {
            "stock/service.py": [
                (
                    '    lines = []\n    for key in repository.low(limit=limit):\n        lines.append(f"{key} is low")\n    return "\\n".join(lines)\n',
                    '    return "\\n".join(f"{key} is low" for key in repository.low(limit=limit))\n',
                ),
                ("limit=100", "limit=50"),
            ]
        },
    ),
    Case(
        "batching in one place, retry count in another",
        "two-components",
        "RETRIES acts in notify, the edit is in report",
        STOCK,
        {
            "stock/service.py": [
                ("RETRIES = 3", "RETRIES = 1"),
                ('        lines.append(f"{key} is low")\n', '        lines += [f"{key} is low"]\n'),
            ]
        },
    ),
    Case(
        "method made a function and called as one",
        "pass",
        "weigh moves out of the class with the one method that calls it",
        SHOP,
        {
            "shop/cart.py": [
                ("self.weigh(sku) * count", "weigh(sku) * count"),
                ("    def weigh(self, sku):\n        return 100 + len(sku)\n\n", ""),
                ("class Cart:\n", "def weigh(sku):\n    return 100 + len(sku)\n\n\nclass Cart:\n"),
            ]
        },
    ),
    Case(
        "early return added to one function, blank lines to others",
        "pass",
        "layout does not count",
        SHOP,
        {
            "shop/pricing.py": [
                (
                    "def total_price(lines, currency):\n",
                    'def total_price(lines, currency):\n    if not lines:\n        return "0"\n',
                ),
                ("def load_price(sku):\n", "\n\ndef load_price(sku):\n"),
            ]
        },
    ),
    Case(
        "async handler: gather",
        "pass",
        "one method",
        FEED,
        {"feed/store.py": [("            found = []\n", "            found = list()\n")]},
    ),
)
CASES = (*SECOND, *THIRD)
