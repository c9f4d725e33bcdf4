"""A third batch, written after the second was mended, to see what is still missed."""
# ruff: noqa: E501  (other projects' lines, as they are)

from diffs.case import Case
from diffs.projects import SHOP
from diffs.projects_async import FEED, LIBRARY
from diffs.projects_compiled import BANK, GATE, NODE, SCAN
from diffs.projects_stock import STOCK, TYPED

CASES = (
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
    Case(
        "two environment variables",
        "two-components",
        "where the database is, and how many connections",
        FEED,
        {
            ".env": [
                (
                    "DSN=postgresql://localhost/feed\nPOOL_MAX=5\n",
                    "DSN=postgresql://127.0.0.1/feed\nPOOL_MAX=9\n",
                )
            ]
        },
    ),
    Case(
        "a comment in the environment file",
        "nothing",
        "a comment",
        FEED,
        {".env": [("POOL_MAX=5\n", "# connections\nPOOL_MAX=5\n")]},
    ),
    Case(
        "uvicorn options in the Dockerfile",
        "two-components",
        "workers and the event loop",
        {"Dockerfile": "FROM python:3.12\nCMD uvicorn app:app --workers 2 --port 8000\n"},
        {"Dockerfile": [("--workers 2", "--workers 4 --loop uvloop")]},
    ),
    Case(
        "index dropped and made anew under another name",
        "pass",
        "one index, rebuilt on the same table",
        SHOP,
        writes={
            "migrations/004.sql": "DROP INDEX IF EXISTS reviews_item;\nCREATE INDEX reviews_item ON reviews (item_id, stars);\n"
        },
    ),
    Case(
        "backfill of another table",
        "two-components",
        "a column here and rows there",
        SHOP,
        writes={
            "migrations/005.sql": "ALTER TABLE items ADD COLUMN slug TEXT;\nUPDATE reviews SET stars = 5 WHERE stars > 5;\n"
        },
    ),
    Case(
        "Django field with its migration",
        "pass",
        "the model and its migration say the same thing",
        LIBRARY,
        {
            "library/books/models.py": [
                (
                    "    published = models.DateField(null=True)\n",
                    "    published = models.DateField(null=True)\n    pages = models.IntegerField(default=0)\n",
                )
            ]
        },
        {
            "library/books/migrations/0002_pages.py": "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    operations = [migrations.AddField(model_name='book', name='pages', field=models.IntegerField(default=0))]\n"
        },
    ),
    Case(
        "Django model property and migration",
        "two-kinds",
        "label runs per request, the index is elsewhere",
        LIBRARY,
        {
            "library/books/models.py": [
                ('return f"{self.title} ({self.author.name})"', "return self.title")
            ]
        },
        {
            "library/books/migrations/0002_i.py": "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    operations = [migrations.AddIndex(model_name='book', index=models.Index(fields=['isbn'], name='i'))]\n"
        },
    ),
    Case(
        "express: one route split into a helper",
        "pass",
        "the new helper is called by the one handler",
        NODE,
        {
            "src/server.js": [
                (
                    "  const orders = await findOrders(PAGE);\n  // one by one\n  res.json(orders.map(formatOrder));\n",
                    "  res.json(await page());\n",
                ),
                (
                    "app.listen(8000);\n",
                    "async function page() {\n  return (await findOrders(PAGE)).map(formatOrder);\n}\n\napp.listen(8000);\n",
                ),
            ]
        },
    ),
    Case(
        "pg bumped and the pool resized",
        "two-kinds",
        "a bump and an edit",
        NODE,
        {
            "package.json": [('"pg": "^8.11.0" },\n  "dev', '"pg": "^8.12.0" },\n  "dev')],
            "package-lock.json": [
                (
                    '"node_modules/pg": { "version": "8.11.0" }',
                    '"node_modules/pg": { "version": "8.12.0" }',
                )
            ],
            "src/orders.js": [("max: 10", "max: 40")],
        },
    ),
    Case(
        "Go: a function across two files of a package",
        "pass",
        "main calls Search",
        GATE,
        {
            "main.go": [('r.URL.Query().Get("q"), maxHits', 'r.URL.Query().Get("q")')],
            "store/store.go": [
                ("Search(words string, limit int)", "Search(words string)"),
                ("return top(found, limit)", "return top(found, 20)"),
            ],
        },
    ),
    Case(
        "Go: renamed method",
        "nothing",
        "a pure rename across files",
        GATE,
        {
            "main.go": [("s.Search(", "s.Find(")],
            "store/store.go": [
                ("// Search finds", "// Find finds"),
                (") Search(words", ") Find(words"),
            ],
        },
    ),
    Case(
        "Java: a limit never read",
        "pass",
        "a constant alone",
        BANK,
        {"src/main/java/org/example/AccountService.java": [("LIMIT = 100", "LIMIT = 50")]},
    ),
    Case(
        "Java: statements and describe",
        "pass",
        "statements calls describe",
        BANK,
        {
            "src/main/java/org/example/AccountService.java": [
                ("found.add(describe(entry));", "found.add(describe(entry, found.size()));"),
                (
                    "private Statement describe(Entry entry) {",
                    "private Statement describe(Entry entry, int at) {",
                ),
            ]
        },
    ),
    Case(
        "Rust: derive on a struct",
        "pass",
        "code is generated",
        SCAN,
        {"src/main.rs": [("struct Counter {", "#[derive(Clone)]\nstruct Counter {")]},
    ),
    Case(
        "Rust: add and words",
        "two-components",
        "main calls both, and neither calls the other",
        SCAN,
        {
            "src/main.rs": [
                (".or_insert(0) += 1", ".or_default() += 1"),
                ("w.to_lowercase()", "w.to_ascii_lowercase()"),
            ]
        },
    ),
    Case(
        "TypeScript: store and the class that uses it",
        "pass",
        "one calls search",
        TYPED,
        {
            "src/api.ts": [("return store.search(id)[0];", "return store.search(id, 1)[0];")],
            "src/store.ts": [
                (
                    "  search(word: string): string[] {\n    return this.rows.filter((row) => row.includes(word));",
                    "  search(word: string, most = 99): string[] {\n    return this.rows.filter((row) => row.includes(word)).slice(0, most);",
                )
            ],
        },
    ),
    Case(
        "a lock file that only moved its hashes",
        "nothing",
        "the same versions",
        GATE,
        {"go.sum": [("h1:abc=", "h1:abd=")]},
    ),
)
