"""Edits of Python services: one function, several, renames, moves, cosmetics."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.cases.edits import N_PLUS_ONE
from tests.git.diffs.projects.asynchronous import FEED
from tests.git.diffs.projects.shop import SHOP

FIRST = (
    Case(
        "one function rewritten",
        "pass",
        "one function, the N+1 query gone",
        FEED,
        {"feed/store.py": N_PLUS_ONE},
    ),
    Case(
        "one function, three hunks",
        "pass",
        "hunks are not counted; all are in describe",
        SHOP,
        {
            "shop/catalog.py": [
                (
                    '    tags = [tag["name"] for tag in fetch_tags(row["id"])]\n',
                    '    tags = row["tags"]\n',
                ),
                ('        "slug": slug_of(row["name"]),\n', '        "slug": row["slug"],\n'),
                ('        "tags": sorted(tags),\n', '        "tags": tags,\n'),
            ]
        },
    ),
    Case(
        "handler and the query it calls",
        "pass",
        "caller and callee of one hot path: the page size moves into the query",
        SHOP,
        {
            "shop/app.py": [("rows = fetch_items(page, PAGE_SIZE)", "rows = fetch_items(page)")],
            "shop/db.py": [
                ("def fetch_items(page, size):", "def fetch_items(page, size=50):"),
                (
                    "SELECT * FROM items ORDER BY name LIMIT",
                    "SELECT id, name, created FROM items ORDER BY name LIMIT",
                ),
            ],
        },
    ),
    Case(
        "new helper called by the edited function",
        "pass",
        "a new helper acts only through its one caller",
        SHOP,
        {
            "shop/catalog.py": [
                (
                    '    tags = [tag["name"] for tag in fetch_tags(row["id"])]\n',
                    '    tags = tag_names(row["id"])\n',
                ),
                (
                    "def slug_of(name):",
                    'def tag_names(item):\n    return sorted(tag["name"] for tag in fetch_tags(item))\n\n\ndef slug_of(name):',
                ),
            ]
        },
    ),
    Case(
        "a cache with its module-level store",
        "pass",
        "the new constant is used by the one edited function",
        SHOP,
        {
            "shop/pricing.py": [
                ('VAT = Decimal("0.20")\n', 'VAT = Decimal("0.20")\n_table = {}\n'),
                (
                    "    table = read_price_table()\n    return table[sku]\n",
                    "    if not _table:\n        _table.update(read_price_table())\n    return _table[sku]\n",
                ),
            ]
        },
    ),
    Case(
        "functools cache with its import",
        "pass",
        "the import serves the decorator",
        SHOP,
        {
            "shop/pricing.py": [
                (
                    "from decimal import Decimal\n",
                    "from decimal import Decimal\nfrom functools import lru_cache\n",
                ),
                ("def read_price_table():", "@lru_cache(maxsize=1)\ndef read_price_table():"),
            ]
        },
    ),
    Case(
        "two unrelated functions in one file",
        "two-components",
        "slug_of and related share nothing",
        SHOP,
        {
            "shop/catalog.py": [
                ('SLUG.sub("-", name.lower()).strip("-")', 'name.lower().replace(" ", "-")'),
                (
                    'other["name"] not in [r["name"] for r in found]',
                    'other["name"] not in {r["name"] for r in found}',
                ),
            ]
        },
    ),
    Case(
        "two unrelated functions in two files",
        "two-components",
        "pricing and reviews are two paths",
        SHOP,
        {
            "shop/pricing.py": [
                (
                    "    table = read_price_table()\n    return table[sku]\n",
                    "    return read_price_table()[sku] + 0\n",
                )
            ],
            "shop/app.py": [
                ('    stars = "*" * row["stars"]\n', '    stars = row["stars_text"]\n')
            ],
        },
    ),
    Case(
        "two handlers of one factory",
        "two-components",
        "handlers inside create_app are two endpoints, not one function",
        SHOP,
        {
            "shop/app.py": [
                ('        log.debug("listing %d items", len(rows))\n', ""),
                ("fetch_reviews(item)[:MAX_REVIEWS]", "list(fetch_reviews(item))[:MAX_REVIEWS]"),
            ]
        },
    ),
    Case(
        "two queries tuned",
        "two-components",
        "fetch_reviews and fetch_tags are each called alone; the edits differ",
        SHOP,
        {
            "shop/db.py": [
                (
                    "SELECT * FROM reviews WHERE item_id = ?",
                    "SELECT stars, text FROM reviews WHERE item_id = ? LIMIT 20",
                ),
                (
                    'db.execute("SELECT name FROM tags WHERE item_id = ?", (item,)).fetchall()',
                    'list(db.execute("SELECT name FROM tags WHERE item_id = ?", [item]))',
                ),
            ]
        },
    ),
    Case(
        "comments only",
        "nothing",
        "a comment cannot be measured",
        SHOP,
        {"shop/app.py": [("PAGE_SIZE = 50\n", "PAGE_SIZE = 50  # items a page\n")]},
    ),
    Case(
        "docstring only",
        "nothing",
        "docstrings do not run",
        SHOP,
        {
            "shop/catalog.py": [
                (
                    '"""One item as the API shows it."""',
                    '"""The item, as the API shows it to clients."""',
                )
            ]
        },
    ),
    Case(
        "layout only",
        "nothing",
        "black ran over the file",
        SHOP,
        {
            "shop/app.py": [
                (
                    '    return {"stars": stars, "text": row["text"].strip()}',
                    '    return {\n        "stars": stars,\n        "text": row["text"].strip(),\n    }',
                )
            ]
        },
    ),
    Case(
        "imports sorted",
        "nothing",
        "the same names are bound",
        SHOP,
        {"shop/app.py": [("import json\nimport logging\n", "import logging\nimport json\n")]},
    ),
    Case(
        "local variable renamed",
        "nothing",
        "the same code under another local name",
        SHOP,
        {
            "shop/catalog.py": [
                (
                    '    tags = [tag["name"] for tag in fetch_tags(row["id"])]\n',
                    '    names = [tag["name"] for tag in fetch_tags(row["id"])]\n',
                ),
                ("sorted(tags)", "sorted(names)"),
            ]
        },
    ),
    Case(
        "function renamed everywhere",
        "nothing",
        "a pure rename and its call sites",
        SHOP,
        {
            "shop/catalog.py": [
                ('"slug": slug_of(', '"slug": make_slug('),
                ("def slug_of(name):", "def make_slug(name):"),
            ],
            "tests/test_catalog.py": [
                ("import slug_of", "import make_slug"),
                ("assert slug_of(", "assert make_slug("),
            ],
        },
    ),
    Case(
        "function renamed across files",
        "nothing",
        "the ripple of a rename in another module",
        SHOP,
        {
            "shop/db.py": [("def fetch_items(", "def load_items(")],
            "shop/app.py": [
                ("import fetch_items, fetch_reviews", "import fetch_reviews, load_items"),
                ("rows = fetch_items(", "rows = load_items("),
            ],
        },
    ),
    Case(
        "rename and one edit",
        "pass",
        "the rename is free, the edit of age_in_days is one",
        SHOP,
        {
            "shop/catalog.py": [
                ('"slug": slug_of(', '"slug": make_slug('),
                ("def slug_of(name):", "def make_slug(name):"),
                ("int((time.time() - created) / 86400)", "int(time.time() - created) // 86400"),
            ]
        },
    ),
    Case(
        "function moved to another module",
        "nothing",
        "same code, other file; the import follows",
        SHOP,
        {
            "shop/catalog.py": [
                (
                    "\n\ndef age_in_days(created):\n    return int((time.time() - created) / 86400)\n",
                    "\n",
                ),
                (
                    "from shop.db import fetch_tags\n",
                    "from shop.db import fetch_tags\nfrom shop.dates import age_in_days\n",
                ),
                ("import time\n", ""),
            ]
        },
        {
            "shop/dates.py": "import time\n\n\ndef age_in_days(created):\n    return int((time.time() - created) / 86400)\n"
        },
    ),
    Case(
        "module renamed",
        "nothing",
        "catalog.py becomes listing.py, the import follows and keeps the name",
        SHOP,
        {
            "shop/app.py": [
                (
                    "from shop import catalog, settings",
                    "from shop import listing as catalog, settings",
                )
            ]
        },
        renames={"shop/catalog.py": "shop/listing.py"},
    ),
    Case(
        "signature ripple to three callers",
        "pass",
        "every caller changed only because as_json takes a status now",
        SHOP,
        {
            "shop/app.py": [
                (
                    "return as_json([catalog.describe(row) for row in rows])",
                    "return as_json([catalog.describe(row) for row in rows], 200)",
                ),
                (
                    "return as_json([review_line(row) for row in rows])",
                    "return as_json([review_line(row) for row in rows], 200)",
                ),
                (
                    'return as_json({"total": total_price(cart.lines, settings.CURRENCY)})',
                    'return as_json({"total": total_price(cart.lines, settings.CURRENCY)}, 200)',
                ),
                ("def as_json(payload):", "def as_json(payload, status):"),
                (
                    'json.dumps(payload, sort_keys=True), mimetype="application/json")',
                    'json.dumps(payload), status, mimetype="application/json")',
                ),
            ]
        },
    ),
    Case(
        "logging taken out of three functions",
        "pass",
        "one mechanical edit at several sites",
        {
            "svc/a.py": "import logging\n"
            "log = logging.getLogger()\n"
            "\n"
            "\n"
            "def read(key):\n"
            "    log.debug('read %s', key)\n"
            "    return key + 1\n"
            "\n"
            "\n"
            "def write(key, value):\n"
            "    log.debug('write %s', key)\n"
            "    return key * value\n"
            "\n"
            "\n"
            "def drop(key):\n"
            "    log.debug('drop %s', key)\n"
            "    return -key\n"
        },
        {
            "svc/a.py": [
                ("    log.debug('read %s', key)\n", ""),
                ("    log.debug('write %s', key)\n", ""),
                ("    log.debug('drop %s', key)\n", ""),
            ]
        },
    ),
    Case(
        "string building by join in two methods",
        "two-components",
        "weight becomes a sum and summary a join: two edits of two methods that never meet",
        SHOP,
        {
            "shop/cart.py": [
                (
                    "        weight = 0\n        for sku, count in self.lines:\n            weight = weight + self.weigh(sku) * count\n        return weight\n",
                    "        return sum(self.weigh(sku) * count for sku, count in self.lines)\n",
                ),
                (
                    '        text = ""\n        for sku, count in self.lines:\n            text = text + f"{sku} x {count}\\n"\n        return text\n',
                    '        return "".join(f"{sku} x {count}\\n" for sku, count in self.lines)\n',
                ),
            ]
        },
    ),
)
CASES = FIRST
