"""Edits of Python services: constants, classes, shared state, hot paths, dead code."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.cases.edits import CACHE_BY_KEY, N_PLUS_ONE
from tests.git.diffs.projects.asynchronous import FEED, LIBRARY
from tests.git.diffs.projects.shop import SHOP

FIRST = (
    Case(
        "an index and a cache",
        "two-kinds",
        "the text-book tangle",
        SHOP,
        {
            "shop/pricing.py": [
                (
                    "    table = read_price_table()\n",
                    "    table = _table or _table.update(read_price_table()) or _table\n",
                ),
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
        {
            "shop/app.py": [
                ("PAGE_SIZE = 50", "PAGE_SIZE = 20"),
                ("MAX_REVIEWS = 20", "MAX_REVIEWS = 5"),
            ]
        },
    ),
    Case(
        "constant with the function that reads it",
        "pass",
        "the function is edited to use the constant",
        SHOP,
        {
            "shop/app.py": [
                ("MAX_REVIEWS = 20", "MAX_REVIEWS = 10"),
                (
                    "rows = fetch_reviews(item)[:MAX_REVIEWS]",
                    "rows = fetch_reviews(item, MAX_REVIEWS)",
                ),
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
                (
                    "from shop.cart import Cart\n",
                    "from shop.cart import Cart\nfrom shop.batch import TagBatch\n",
                ),
                (
                    "return as_json([catalog.describe(row) for row in rows])",
                    "batch = TagBatch(rows)\n        return as_json([batch.describe(row) for row in rows])",
                ),
            ]
        },
        {
            "shop/batch.py": "from shop import catalog\n"
            "from shop.db import connect\n"
            "\n"
            "\n"
            "class TagBatch:\n"
            "    def __init__(self, rows):\n"
            "        self.rows = rows\n"
            "        self.tags = self.fetch_all()\n"
            "\n"
            "    def fetch_all(self):\n"
            "        with connect() as db:\n"
            "            return db.execute('SELECT * FROM tags').fetchall()\n"
            "\n"
            "    def describe(self, row):\n"
            "        return {**catalog.describe(row)}\n"
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
                    "\n"
                    "\n"
                    "def related(row, rows):\n"
                    "    found = []\n"
                    "    for other in rows:\n"
                    '        if other["id"] != row["id"] and other["name"] not in [r["name"] for r in found]:\n'
                    "            found.append(other)\n"
                    "    return found\n",
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
                (
                    "def unit_price(sku, currency):",
                    "def unit_price(sku: str, currency: str) -> Decimal:",
                ),
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
            "shop/catalog.py": [
                ('SLUG.sub("-", name.lower()).strip("-")', 'name.lower().replace(" ", "-")')
            ],
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
                (
                    "hit = render_post(await store.by_id(post_id))",
                    "hit = await render_post(await store.by_id(post_id))",
                ),
                (
                    "return [render_post(post) for post in posts]",
                    "return [await render_post(post) for post in posts]",
                ),
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
                (
                    "return Author.objects.all()",
                    'return Author.objects.prefetch_related("book_set")',
                ),
            ]
        },
    ),
    Case(
        "a Django view's query and its serializer",
        "pass",
        "BookList.get calls both in turn, but only get_queryset is edited",
        LIBRARY,
        {
            "library/books/views.py": [
                ("books = Book.objects.all()", 'books = Book.objects.select_related("author")')
            ]
        },
    ),
    Case(
        "a queryset and an unrelated serializer",
        "two-components",
        "books' query and authors' JSON",
        LIBRARY,
        {
            "library/books/views.py": [
                ("books = Book.objects.all()", 'books = Book.objects.select_related("author")')
            ],
            "library/books/serializers.py": [
                ('"books": author.book_set.count()', '"books": len(author.book_set.all())')
            ],
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
                (
                    "from decimal import Decimal\n",
                    "from decimal import Decimal\n\nfrom shop.rates import current_rate\n",
                ),
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
CASES = FIRST
