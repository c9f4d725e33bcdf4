"""Edits of Python services."""

from diffs.case import Case
from diffs.projects import FEED, LIBRARY, SHOP

N_PLUS_ONE = [
    (
        """            rows = await db.fetch("SELECT * FROM posts ORDER BY created DESC LIMIT $1", limit)
            found = []
            for row in rows:
                likes = await db.fetchval("SELECT count(*) FROM likes WHERE post_id = $1", row["id"])
                found.append({**row, "likes": likes})
            return found
""",
        """            sql = "SELECT p.*, count(l.post_id) AS likes FROM posts p LEFT JOIN likes l ON l.post_id = p.id GROUP BY p.id LIMIT $1"
            return [dict(row) for row in await db.fetch(sql, limit)]
""",
    )
]
CACHE_BY_KEY = [
    (
        """        for kept_key, (value, until) in list(self.kept.items()):
            if kept_key == key and until > time.monotonic():
                return value
        return None
""",
        """        value, until = self.kept.get(key, (None, 0))
        return value if until > time.monotonic() else None
""",
    )
]

CASES = (
    Case("one function rewritten", "pass", "one function, the N+1 query gone", FEED, {"feed/store.py": N_PLUS_ONE}),
    Case(
        "one function, three hunks",
        "pass",
        "hunks are not counted; all are in describe",
        SHOP,
        {
            "shop/catalog.py": [
                ('    tags = [tag["name"] for tag in fetch_tags(row["id"])]\n', '    tags = row["tags"]\n'),
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
                ("SELECT * FROM items ORDER BY name LIMIT", "SELECT id, name, created FROM items ORDER BY name LIMIT"),
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
                ('    tags = [tag["name"] for tag in fetch_tags(row["id"])]\n', '    tags = tag_names(row["id"])\n'),
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
                ("from decimal import Decimal\n", "from decimal import Decimal\nfrom functools import lru_cache\n"),
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
                ('other["name"] not in [r["name"] for r in found]', 'other["name"] not in {r["name"] for r in found}'),
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
                ("    table = read_price_table()\n    return table[sku]\n", "    return read_price_table()[sku] + 0\n")
            ],
            "shop/app.py": [('    stars = "*" * row["stars"]\n', '    stars = row["stars_text"]\n')],
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
                ("SELECT * FROM reviews WHERE item_id = ?", "SELECT stars, text FROM reviews WHERE item_id = ? LIMIT 20"),
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
        {"shop/catalog.py": [('"""One item as the API shows it."""', '"""The item, as the API shows it to clients."""')]},
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
            "shop/catalog.py": [('"slug": slug_of(', '"slug": make_slug('), ("def slug_of(name):", "def make_slug(name):")],
            "tests/test_catalog.py": [("import slug_of", "import make_slug"), ("assert slug_of(", "assert make_slug(")],
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
                ("\n\ndef age_in_days(created):\n    return int((time.time() - created) / 86400)\n", "\n"),
                ("from shop.db import fetch_tags\n", "from shop.db import fetch_tags\nfrom shop.dates import age_in_days\n"),
                ("import time\n", ""),
            ]
        },
        {"shop/dates.py": "import time\n\n\ndef age_in_days(created):\n    return int((time.time() - created) / 86400)\n"},
    ),
    Case(
        "module renamed",
        "nothing",
        "catalog.py becomes listing.py, the import follows and keeps the name",
        SHOP,
        {"shop/app.py": [("from shop import catalog, settings", "from shop import listing as catalog, settings")]},
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
                ("return as_json([review_line(row) for row in rows])", "return as_json([review_line(row) for row in rows], 200)"),
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
            "svc/a.py": "import logging\nlog = logging.getLogger()\n\n\ndef read(key):\n    log.debug('read %s', key)\n    return key + 1\n\n\n"
            "def write(key, value):\n    log.debug('write %s', key)\n    return key * value\n\n\ndef drop(key):\n    log.debug('drop %s', key)\n    return -key\n"
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
    Case(
        "json swapped for orjson by import",
        "pass",
        "one import binds another library: one edit",
        SHOP,
        {
            "shop/app.py": [
                ("import json\nimport logging\n", "import logging\n"),
                ("from flask import Flask", "import ujson as json\nfrom flask import Flask"),
            ]
        },
    ),
    Case(
        "new library used by the one edited function",
        "pass",
        "a new package acts only through the code that imports it",
        SHOP,
        {
            "requirements.txt": [("flask==3.0.0\n", "flask==3.0.0\norjson==3.9.10\n")],
            "shop/app.py": [
                ("from flask import Flask", "import orjson\nfrom flask import Flask"),
                ("json.dumps(payload, sort_keys=True)", "orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)"),
            ],
        },
    ),
    Case(
        "a package bump with a code edit",
        "two-kinds",
        "the bump changes everything else that runs too",
        SHOP,
        {
            "requirements.txt": [("redis==5.0.1", "redis==5.0.7")],
            "shop/catalog.py": [("        if other", "        if len(found) < 9 and other")],
        },
    ),
    Case(
        "an index and a cache",
        "two-kinds",
        "the text-book tangle",
        SHOP,
        {
            "shop/pricing.py": [
                ("    table = read_price_table()\n", "    table = _table or _table.update(read_price_table()) or _table\n"),
                ('VAT = Decimal("0.20")\n', 'VAT = Decimal("0.20")\n_table = {}\n'),
            ]
        },
        {"migrations/002_reviews.sql": "CREATE INDEX reviews_item ON reviews (item_id);\n"},
    ),
    Case(
        "a constant alone",
        "pass",
        "one knob",
        SHOP,
        {"shop/app.py": [("PAGE_SIZE = 50", "PAGE_SIZE = 20")]},
    ),
    Case(
        "two constants",
        "two-components",
        "page size and review limit are two knobs",
        SHOP,
        {"shop/app.py": [("PAGE_SIZE = 50", "PAGE_SIZE = 20"), ("MAX_REVIEWS = 20", "MAX_REVIEWS = 5")]},
    ),
    Case(
        "constant with the function that reads it",
        "pass",
        "the function is edited to use the constant",
        SHOP,
        {
            "shop/app.py": [
                ("MAX_REVIEWS = 20", "MAX_REVIEWS = 10"),
                ("rows = fetch_reviews(item)[:MAX_REVIEWS]", "rows = fetch_reviews(item, MAX_REVIEWS)"),
            ]
        },
    ),
    Case(
        "cache class: get and put share a new structure",
        "pass",
        "both methods were written for the ordered store",
        FEED,
        {
            "feed/cache.py": [
                ("import time\n", "import time\nfrom collections import OrderedDict\n"),
                ("        self.kept = {}\n", "        self.kept = OrderedDict()\n"),
                *CACHE_BY_KEY,
                (
                    "        self.kept[key] = (value, time.monotonic() + self.ttl)\n",
                    "        self.kept[key] = (value, time.monotonic() + self.ttl)\n        self.kept.move_to_end(key)\n",
                ),
            ]
        },
    ),
    Case("one method", "pass", "a scan becomes a look-up", FEED, {"feed/cache.py": CACHE_BY_KEY}),
    Case(
        "one method and an unrelated query",
        "two-components",
        "the cache and the list query are two suspects",
        FEED,
        {"feed/cache.py": CACHE_BY_KEY, "feed/store.py": N_PLUS_ONE},
    ),
    Case(
        "unconnected functions of one hot path",
        "pass",
        "the profile shows render_post and latest under list_posts together",
        FEED,
        {
            "feed/main.py": [('post["body"].replace("\\n", "<br>")', 'post["html"]')],
            "feed/store.py": [
                (
                    '"SELECT * FROM posts ORDER BY created DESC LIMIT $1"',
                    '"SELECT id, html FROM posts ORDER BY created DESC LIMIT $1"',
                )
            ],
        },
        stacks=(
            ("list_posts@feed/main.py > latest@feed/store.py", 500),
            ("list_posts@feed/main.py > latest@feed/store.py > render_post@feed/main.py", 40),
            ("health@feed/main.py", 460),
        ),
    ),
    Case(
        "the same pair with a profile that keeps them apart",
        "two-components",
        "never on one stack",
        FEED,
        {
            "feed/main.py": [('post["body"].replace("\\n", "<br>")', 'post["html"]')],
            "feed/store.py": [
                (
                    '"SELECT * FROM posts ORDER BY created DESC LIMIT $1"',
                    '"SELECT id, html FROM posts ORDER BY created DESC LIMIT $1"',
                )
            ],
        },
        stacks=(
            ("list_posts@feed/main.py > latest@feed/store.py", 500),
            ("list_posts@feed/main.py > render_post@feed/main.py", 500),
        ),
    ),
    Case(
        "new class used by one handler",
        "pass",
        "the class and its methods come with the handler that makes it",
        SHOP,
        {
            "shop/app.py": [
                ("from shop.cart import Cart\n", "from shop.cart import Cart\nfrom shop.batch import TagBatch\n"),
                (
                    "return as_json([catalog.describe(row) for row in rows])",
                    "batch = TagBatch(rows)\n        return as_json([batch.describe(row) for row in rows])",
                ),
            ]
        },
        {
            "shop/batch.py": "from shop import catalog\nfrom shop.db import connect\n\n\nclass TagBatch:\n    def __init__(self, rows):\n        self.rows = rows\n        self.tags = self.fetch_all()\n\n"
            "    def fetch_all(self):\n        with connect() as db:\n            return db.execute('SELECT * FROM tags').fetchall()\n\n    def describe(self, row):\n        return {**catalog.describe(row)}\n"
        },
    ),
    Case(
        "a new endpoint beside an edit",
        "two-components",
        "the new handler is reached by its own route",
        FEED,
        {
            "feed/cache.py": CACHE_BY_KEY,
            "feed/main.py": [
                (
                    "def render_post(post):",
                    '@app.get("/stats")\nasync def stats():\n    return {"cached": cache.size()}\n\n\ndef render_post(post):',
                )
            ],
        },
    ),
    Case(
        "dead code taken out with one edit",
        "pass",
        "nobody called related; the other edit is one",
        SHOP,
        {
            "shop/catalog.py": [
                (
                    '\n\ndef related(row, rows):\n    found = []\n    for other in rows:\n        if other["id"] != row["id"] and other["name"] not in [r["name"] for r in found]:\n'
                    "            found.append(other)\n    return found\n",
                    "\n",
                ),
                ('name.lower()).strip("-")', "name.lower())"),
            ]
        },
    ),
    Case(
        "new function nobody calls",
        "nothing",
        "code that nothing reaches cannot be measured",
        SHOP,
        {
            "shop/pricing.py": [
                (
                    "def rate_for(currency):",
                    "def price_in_cents(sku):\n    return int(load_price(sku) * 100)\n\n\ndef rate_for(currency):",
                )
            ]
        },
    ),
    Case(
        "type hints added",
        "nothing",
        "annotations of plain functions do nothing at run time",
        SHOP,
        {
            "shop/pricing.py": [
                ("def unit_price(sku, currency):", "def unit_price(sku: str, currency: str) -> Decimal:"),
                ("def load_price(sku):", "def load_price(sku: str) -> Decimal:"),
            ]
        },
    ),
    Case(
        "tests and docs only",
        "nothing",
        "neither runs in the service",
        SHOP,
        {
            "README.md": [("A shop.", "A small shop.")],
            "tests/test_catalog.py": [('"A b"', '"A  b"')],
            ".github/workflows/ci.yml": [("ubuntu-latest", "ubuntu-22.04")],
        },
    ),
    Case(
        "an edit with its test and changelog",
        "pass",
        "tests and docs do not count",
        SHOP,
        {
            "shop/catalog.py": [('SLUG.sub("-", name.lower()).strip("-")', 'name.lower().replace(" ", "-")')],
            "tests/test_catalog.py": [('"A b"', '"A  b"')],
        },
        {"CHANGELOG.md": "# Changes\n\n- faster slugs\n"},
    ),
    Case("an untouched tree", "nothing", "there is no edit", SHOP),
    Case(
        "only the test file of perfhunt",
        "nothing",
        "that changes the question, not the service",
        SHOP,
        {"perfhunt.toml": [("schema = 1\n", "schema = 1\n[ramp]\nbudget = '5m'\n")]},
    ),
    Case(
        "a handler converted to async with its helper",
        "pass",
        "show_post awaits what its callee became",
        FEED,
        {
            "feed/main.py": [
                ("hit = render_post(await store.by_id(post_id))", "hit = await render_post(await store.by_id(post_id))"),
                ("return [render_post(post) for post in posts]", "return [await render_post(post) for post in posts]"),
                ("def render_post(post):", "async def render_post(post):"),
            ]
        },
    ),
    Case(
        "two Django views, the same prefetch",
        "two-components",
        "select_related on books and prefetch_related on authors are two queries and two edits",
        LIBRARY,
        {
            "library/books/views.py": [
                ("books = Book.objects.all()", 'books = Book.objects.select_related("author")'),
                ("return Author.objects.all()", 'return Author.objects.prefetch_related("book_set")'),
            ]
        },
    ),
    Case(
        "a Django view's query and its serializer",
        "pass",
        "BookList.get calls both in turn, but only get_queryset is edited",
        LIBRARY,
        {"library/books/views.py": [("books = Book.objects.all()", 'books = Book.objects.select_related("author")')]},
    ),
    Case(
        "a queryset and an unrelated serializer",
        "two-components",
        "books' query and authors' JSON",
        LIBRARY,
        {
            "library/books/views.py": [("books = Book.objects.all()", 'books = Book.objects.select_related("author")')],
            "library/books/serializers.py": [('"books": author.book_set.count()', '"books": len(author.book_set.all())')],
        },
    ),
    Case(
        "a file that does not parse",
        "pass",
        "one file, one edit, as far as can be told",
        SHOP,
        {"shop/pricing.py": [("def rate_for(currency):", "def rate_for(currency:")]},
    ),
    Case(
        "untracked module imported by the edited function",
        "pass",
        "the new file's only function is called by the edit",
        SHOP,
        {
            "shop/pricing.py": [
                ("from decimal import Decimal\n", "from decimal import Decimal\n\nfrom shop.rates import current_rate\n"),
                ("return price * rate_for(currency)", "return price * current_rate(currency)"),
            ]
        },
        {
            "shop/rates.py": "from decimal import Decimal\n\nRATES = {'EUR': Decimal(1), 'USD': Decimal('1.1')}\n\n\ndef current_rate(currency):\n    return RATES[currency]\n"
        },
    ),
    Case(
        "module-level warm-up added beside an edit",
        "two-components",
        "a garbage collector setting and a query",
        FEED,
        {
            "feed/main.py": [
                ("cache = Cache(ttl=30)\n", "cache = Cache(ttl=30)\ngc.freeze()\n"),
                ("from fastapi import Depends", "import gc\n\nfrom fastapi import Depends"),
            ],
            "feed/store.py": N_PLUS_ONE,
        },
    ),
)
