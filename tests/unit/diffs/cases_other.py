"""Edits of configuration, schema, data, dependencies and other languages."""

from diffs.case import Case
from diffs.projects import FEED, LIBRARY, SHOP
from diffs.projects_compiled import BANK, GATE, NODE, SCAN

FASTAPI_BUMP = [
    ('name = "fastapi"\nversion = "0.110.0"', 'name = "fastapi"\nversion = "0.115.0"'),
    ('name = "starlette"\nversion = "0.36.3"', 'name = "starlette"\nversion = "0.41.0"'),
    ('name = "pydantic"\nversion = "2.6.0"', 'name = "pydantic"\nversion = "2.9.0"'),
]

CONFIG = (
    Case("worker count", "pass", "one setting", SHOP, {"gunicorn.conf.py": [("workers = 2", "workers = 4")]}),
    Case(
        "worker count in every place it is written",
        "pass",
        "one setting, repeated",
        SHOP,
        {
            "gunicorn.conf.py": [("workers = 2", "workers = 4")],
            "Dockerfile": [('"--workers", "2"', '"--workers", "4"')],
            "docker-compose.yml": [('WORKERS: "2"', 'WORKERS: "4"')],
        },
    ),
    Case(
        "workers and keep-alive",
        "two-components",
        "two settings that work on different things",
        SHOP,
        {"gunicorn.conf.py": [("workers = 2", "workers = 4"), ("keepalive = 2", "keepalive = 75")]},
    ),
    Case(
        "threads need their worker class",
        "pass",
        "threads mean nothing to sync workers",
        SHOP,
        {"gunicorn.conf.py": [('worker_class = "sync"\n', 'worker_class = "gthread"\nthreads = 8\n')]},
    ),
    Case(
        "workers and a code edit",
        "two-kinds",
        "configuration and code",
        SHOP,
        {"gunicorn.conf.py": [("workers = 2", "workers = 4")], "shop/catalog.py": [('.strip("-")', "")]},
    ),
    Case("Dockerfile comment", "nothing", "a comment", SHOP, {"Dockerfile": [("# the service", "# the web service")]}),
    Case("base image", "pass", "one interpreter change", SHOP, {"Dockerfile": [("python:3.11-slim", "python:3.12-slim")]}),
    Case(
        "base image and workers",
        "two-components",
        "a new interpreter and a new worker count",
        SHOP,
        {"Dockerfile": [("python:3.11-slim", "python:3.12-slim"), ('"--workers", "2"', '"--workers", "4"')]},
    ),
    Case(
        "one database setting in compose",
        "pass",
        "shared_buffers only",
        SHOP,
        {"docker-compose.yml": [("shared_buffers=128MB", "shared_buffers=1GB")]},
    ),
    Case(
        "two database settings in compose",
        "two-components",
        "memory and connections are two knobs, though on one line",
        SHOP,
        {"docker-compose.yml": [("shared_buffers=128MB -c max_connections=100", "shared_buffers=1GB -c max_connections=400")]},
    ),
    Case(
        "a new service in compose",
        "pass",
        "one block, whatever it holds",
        SHOP,
        {"docker-compose.yml": [("  db:\n", '  cache:\n    image: redis:7\n    ports:\n      - "6379:6379"\n  db:\n')]},
    ),
    Case(
        "nginx upstream keep-alive",
        "pass",
        "the three directives of one feature",
        FEED,
        {
            "nginx.conf": [
                ("    server 127.0.0.1:8000;\n", "    server 127.0.0.1:8000;\n    keepalive 32;\n"),
                (
                    "      proxy_pass http://feed;\n",
                    '      proxy_pass http://feed;\n      proxy_http_version 1.1;\n      proxy_set_header Connection "";\n',
                ),
            ]
        },
    ),
    Case(
        "nginx gzip with its types",
        "pass",
        "gzip_types and gzip_comp_level belong to gzip",
        FEED,
        {
            "nginx.conf": [
                ("    listen 80;\n", "    listen 80;\n    gzip on;\n    gzip_types application/json;\n    gzip_comp_level 2;\n")
            ]
        },
    ),
    Case(
        "nginx workers and gzip",
        "two-components",
        "two features",
        FEED,
        {"nginx.conf": [("worker_processes 2;", "worker_processes 4;"), ("    listen 80;\n", "    listen 80;\n    gzip on;\n")]},
    ),
    Case("environment file value", "pass", "one variable", FEED, {".env": [("POOL_MAX=5", "POOL_MAX=20")]}),
    Case(
        "new variable read by the edited function",
        "pass",
        "the variable exists only for that code",
        FEED,
        {
            ".env": [("POOL_MAX=5\n", "POOL_MAX=5\nPOOL_MIN=5\n")],
            "feed/store.py": [
                ("import asyncpg\n", "import os\n\nimport asyncpg\n"),
                ("min_size=1", 'min_size=int(os.environ["POOL_MIN"])'),
            ],
        },
    ),
    Case(
        "existing variable and the code that reads it",
        "two-kinds",
        "either edit alone would change the service",
        FEED,
        {".env": [("POOL_MAX=5", "POOL_MAX=20")], "feed/store.py": [("min_size=1", "min_size=4")]},
    ),
    Case(
        "Django persistent connections",
        "pass",
        "one setting",
        LIBRARY,
        {"library/settings.py": [("CONN_MAX_AGE = 0", "CONN_MAX_AGE = 60")]},
    ),
    Case(
        "Django cache and middleware",
        "two-components",
        "gzip middleware and a cache backend",
        LIBRARY,
        {
            "library/settings.py": [
                (
                    'MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]',
                    'MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware"]',
                ),
                ("dummy.DummyCache", "locmem.LocMemCache"),
            ]
        },
    ),
    Case(
        "Spring pool size",
        "pass",
        "one setting in YAML",
        BANK,
        {"src/main/resources/application.yml": [("maximum-pool-size: 10", "maximum-pool-size: 30")]},
    ),
    Case(
        "Spring pool and threads",
        "two-components",
        "two pools",
        BANK,
        {"src/main/resources/application.yml": [("maximum-pool-size: 10", "maximum-pool-size: 30"), ("max: 200", "max: 400")]},
    ),
    Case(
        "YAML reordered",
        "nothing",
        "the same settings in another order",
        BANK,
        {"src/main/resources/application.yml": [("  port: 8080\n", ""), ("      max: 200\n", "      max: 200\n  port: 8080\n")]},
    ),
    Case(
        "Rust link-time optimisation",
        "pass",
        "one build setting",
        SCAN,
        {"Cargo.toml": [("opt-level = 3\n", 'opt-level = 3\nlto = "fat"\n')]},
    ),
)

SCHEMA = (
    Case(
        "one index in SQL",
        "pass",
        "one statement",
        SHOP,
        writes={"migrations/002.sql": "-- faster reviews\nCREATE INDEX reviews_item ON reviews (item_id);\n"},
    ),
    Case(
        "two indexes",
        "two-components",
        "on two tables, for two endpoints",
        SHOP,
        writes={
            "migrations/002.sql": "BEGIN;\nCREATE INDEX reviews_item ON reviews (item_id);\nCREATE INDEX tags_item ON tags (item_id);\nCOMMIT;\n"
        },
    ),
    Case(
        "index with its way back and statistics",
        "pass",
        "the down migration does not run; ANALYZE goes with the index",
        SHOP,
        writes={
            "migrations/002.up.sql": "CREATE INDEX CONCURRENTLY IF NOT EXISTS reviews_item ON reviews (item_id);\nANALYZE reviews;\n",
            "migrations/002.down.sql": "DROP INDEX reviews_item;\n",
        },
    ),
    Case(
        "column, backfill and index on it",
        "pass",
        "three statements of one denormalisation",
        SHOP,
        writes={
            "migrations/002.sql": "ALTER TABLE items ADD COLUMN slug TEXT;\nUPDATE items SET slug = lower(name);\nCREATE INDEX items_slug ON items (slug);\n"
        },
    ),
    Case(
        "SQL comment",
        "nothing",
        "a comment",
        SHOP,
        {"migrations/001_init.sql": [("CREATE TABLE tags", "-- labels\nCREATE TABLE tags")]},
    ),
    Case(
        "Django index with its model",
        "pass",
        "Meta.indexes and the migration say the same thing",
        LIBRARY,
        {
            "library/books/models.py": [
                (
                    '        ordering = ["title"]\n',
                    '        ordering = ["title"]\n        indexes = [models.Index(fields=["isbn"])]\n',
                )
            ]
        },
        {
            "library/books/migrations/0002_isbn.py": "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    dependencies = [('books', '0001_initial')]\n"
            "    operations = [\n        migrations.AddIndex(model_name='book', index=models.Index(fields=['isbn'], name='book_isbn')),\n    ]\n"
        },
    ),
    Case(
        "two Django indexes in one migration",
        "two-components",
        "isbn and published serve different queries",
        LIBRARY,
        writes={
            "library/books/migrations/0002_more.py": "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    operations = [\n"
            "        migrations.AddIndex(model_name='book', index=models.Index(fields=['isbn'], name='book_isbn')),\n"
            "        migrations.AddIndex(model_name='book', index=models.Index(fields=['published'], name='book_published')),\n    ]\n"
        },
    ),
    Case(
        "Alembic index",
        "pass",
        "one operation; downgrade mirrors it",
        FEED,
        writes={
            "alembic/versions/002_created.py": 'from alembic import op\n\nrevision = "002"\n\n\ndef upgrade():\n    op.create_index(op.f("ix_posts_created"), "posts", ["created"])\n\n\n'
            'def downgrade():\n    op.drop_index("ix_posts_created")\n'
        },
    ),
    Case(
        "an index and the query that needs it",
        "two-kinds",
        "schema and code; each alone would change the service",
        FEED,
        {"feed/store.py": [("ORDER BY created DESC", "ORDER BY id DESC")]},
        {
            "alembic/versions/002.py": 'from alembic import op\n\n\ndef upgrade():\n    op.create_index("ix", "posts", ["created"])\n'
        },
    ),
    Case(
        "more rows in a fixture",
        "pass",
        "the data set grows",
        SHOP,
        {"fixtures/items.csv": [("2,Chair\n", "2,Chair\n3,Table\n")]},
    ),
    Case(
        "data and code",
        "two-kinds",
        "a bigger data set hides or fakes the effect of the code",
        SHOP,
        {"fixtures/items.csv": [("2,Chair\n", "2,Chair\n3,Table\n")], "shop/catalog.py": [('.strip("-")', "")]},
    ),
    Case(
        "a template",
        "pass",
        "templates are rendered per request",
        SHOP,
        {"shop/templates/items.html": [("{{ item.name }}", "{{ item.name|e }}")]},
    ),
)

DEPENDENCIES = (
    Case("one package bumped", "pass", "one version", SHOP, {"requirements.txt": [("flask==3.0.0", "flask==3.0.3")]}),
    Case(
        "two packages bumped",
        "two-packages",
        "neither needs the other",
        SHOP,
        {"requirements.txt": [("flask==3.0.0", "flask==3.0.3"), ("redis==5.0.1", "redis==5.0.7")]},
    ),
    Case(
        "developer tools bumped",
        "nothing",
        "they do not run in the service",
        SHOP,
        {"requirements-dev.txt": [("pytest==8.0.0", "pytest==8.2.0")]},
    ),
    Case(
        "direct bump with what it forces",
        "pass",
        "starlette and pydantic move because fastapi does",
        FEED,
        {"pyproject.toml": [("fastapi>=0.110", "fastapi>=0.115")], "uv.lock": FASTAPI_BUMP},
    ),
    Case(
        "lock refreshed",
        "two-packages",
        "asyncpg moved as well, and nothing forced it",
        FEED,
        {"uv.lock": [*FASTAPI_BUMP, ('name = "asyncpg"\nversion = "0.29.0"', 'name = "asyncpg"\nversion = "0.30.0"')]},
    ),
    Case(
        "constraint widened, lock unchanged",
        "nothing",
        "the resolved versions are the same",
        FEED,
        {"pyproject.toml": [("asyncpg>=0.29", "asyncpg>=0.28")]},
    ),
    Case(
        "linter settings",
        "nothing",
        "tool settings do not run",
        FEED,
        {"pyproject.toml": [("line-length = 100", "line-length = 120")]},
    ),
    Case(
        "npm bump with its transitive packages",
        "pass",
        "body-parser and qs come with express",
        NODE,
        {
            "package.json": [('"express": "^4.18.0", "pg"', '"express": "^4.19.0", "pg"')],
            "package-lock.json": [
                ('"node_modules/express": { "version": "4.18.0"', '"node_modules/express": { "version": "4.19.0"'),
                ('"node_modules/body-parser": { "version": "1.20.1" }', '"node_modules/body-parser": { "version": "1.20.2" }'),
            ],
        },
    ),
    Case(
        "npm developer package",
        "nothing",
        "jest is for tests",
        NODE,
        {
            "package.json": [('"jest": "^29.0.0" }', '"jest": "^29.7.0" }')],
            "package-lock.json": [('"version": "29.0.0"', '"version": "29.7.0"')],
        },
    ),
    Case(
        "Go module bump",
        "pass",
        "one direct and its indirect one",
        GATE,
        {"go.mod": [("go-redis/v9 v9.3.0", "go-redis/v9 v9.5.0"), ("xxhash/v2 v2.2.0", "xxhash/v2 v2.3.0")]},
    ),
    Case(
        "Go toolchain and a module",
        "two-kinds",
        "a compiler and a library",
        GATE,
        {"go.mod": [("go 1.21", "go 1.22"), ("chi/v5 v5.0.10", "chi/v5 v5.1.0")]},
    ),
    Case("Maven version by property", "pass", "one artifact", BANK, {"pom.xml": [("2.15.0", "2.17.0")]}),
    Case("Maven test scope", "nothing", "junit is for tests", BANK, {"pom.xml": [("4.13.1", "4.13.2")]}),
    Case(
        "Cargo lock, one crate",
        "pass",
        "hyper alone",
        SCAN,
        {"Cargo.lock": [('name = "hyper"\nversion = "1.1.0"', 'name = "hyper"\nversion = "1.4.0"')]},
    ),
    Case(
        "Cargo lock, two crates",
        "two-packages",
        "hyper and serde_json",
        SCAN,
        {"Cargo.lock": [('version = "1.1.0"', 'version = "1.4.0"'), ('version = "1.0.111"', 'version = "1.0.120"')]},
    ),
)

LANGUAGES = (
    Case(
        "JavaScript: one function",
        "pass",
        "the N+1 loop becomes one query",
        NODE,
        {
            "src/orders.js": [
                (
                    "  for (const row of rows) {\n    row.lines = await findLines(row.id);\n  }\n",
                    "  await Promise.all(rows.map(async (row) => { row.lines = await findLines(row.id); }));\n",
                )
            ]
        },
    ),
    Case(
        "JavaScript: two handlers",
        "two-components",
        "two routes, two edits",
        NODE,
        {
            "src/server.js": [
                ("res.json(orders.map(formatOrder));", "res.send(JSON.stringify(orders.map(formatOrder)));"),
                ("const order = await findOrder(req.params.id);", "const order = await findOrder(Number(req.params.id));"),
            ]
        },
    ),
    Case("JavaScript: comment", "nothing", "a comment", NODE, {"src/server.js": [("  // one by one\n", "  // all of them\n")]}),
    Case(
        "JavaScript: caller and callee in two files",
        "pass",
        "findOrders takes an offset now",
        NODE,
        {
            "src/orders.js": [
                ("async function findOrders(limit) {", "async function findOrders(limit, offset = 0) {"),
                ("ORDER BY id LIMIT $1", "ORDER BY id DESC LIMIT $1"),
            ],
            "src/server.js": [("await findOrders(PAGE)", "await findOrders(PAGE, 0)")],
        },
    ),
    Case(
        "JavaScript: new package in the edited function",
        "pass",
        "the package acts only where it is required",
        NODE,
        {
            "package.json": [
                (
                    '"express": "^4.18.0", "pg": "^8.11.0" },\n  "devD',
                    '"express": "^4.18.0", "fast-json-stringify": "^5.0.0", "pg": "^8.11.0" },\n  "devD',
                )
            ],
            "package-lock.json": [
                (
                    '    "node_modules/jest"',
                    '    "node_modules/fast-json-stringify": { "version": "5.0.0" },\n    "node_modules/jest"',
                )
            ],
            "src/format.js": [
                (
                    "function formatOrder(order) {\n",
                    'const build = require("fast-json-stringify");\n\nfunction formatOrder(order) {\n',
                ),
                ("return { id: order.id,", "return { id: build({ type: 'integer' })(order.id),"),
            ],
        },
    ),
    Case(
        "JavaScript: format and pool size",
        "two-components",
        "two files, two ideas",
        NODE,
        {"src/format.js": [("(cents / 100).toFixed(2)", "String(cents / 100)")], "src/orders.js": [("max: 10", "max: 40")]},
    ),
    Case(
        "JavaScript: the test",
        "nothing",
        "tests do not run in the service",
        NODE,
        {"src/format.test.js": [("money(100)", "money(200)")]},
    ),
    Case(
        "JavaScript: renamed function",
        "nothing",
        "a rename and its call",
        NODE,
        {
            "src/format.js": [
                ("total: money(", "total: inEuro("),
                ("function money(", "function inEuro("),
                ("{ formatOrder, money }", "{ formatOrder, inEuro }"),
            ]
        },
    ),
    Case(
        "Go: one method",
        "pass",
        "the words are lowered once",
        GATE,
        {
            "store/store.go": [
                ("	found := []string{}\n", "	found := []string{}\n	lowered := strings.ToLower(words)\n"),
                (
                    "strings.Contains(strings.ToLower(row), strings.ToLower(words))",
                    "strings.Contains(strings.ToLower(row), lowered)",
                ),
            ]
        },
    ),
    Case(
        "Go: method and its helper",
        "pass",
        "Search calls top",
        GATE,
        {
            "store/store.go": [
                ("return top(found, limit)", "return top(found)"),
                (
                    "func top(rows []string, limit int) []string {\n	if len(rows) > limit {\n		return rows[:limit]",
                    "func top(rows []string) []string {\n	if len(rows) > 20 {\n		return rows[:20]",
                ),
            ]
        },
    ),
    Case(
        "Go: render and load",
        "two-components",
        "output and start-up",
        GATE,
        {
            "main.go": [('w.Write([]byte(hit + "\\n"))', "fmt.Fprintln(w, hit)")],
            "store/store.go": [('strings.Split(path, ",")', "strings.Fields(path)")],
        },
    ),
    Case(
        "Go: comment and test",
        "nothing",
        "neither runs",
        GATE,
        {
            "main.go": [("// render writes the hits as lines.", "// render writes one hit per line.")],
            "store/store_test.go": [("TestTop", "TestTopRows")],
        },
    ),
    Case(
        "Java: one method",
        "pass",
        "a StringBuilder",
        BANK,
        {
            "src/main/java/org/example/AccountService.java": [
                ('String text = "";', "StringBuilder text = new StringBuilder();"),
                ("text = text + part;", "text.append(part);"),
                ("new Statement(text, entry.amount())", "new Statement(text.toString(), entry.amount())"),
            ]
        },
    ),
    Case(
        "Java: lock and string",
        "two-components",
        "a lock taken off balance and a StringBuilder in describe",
        BANK,
        {
            "src/main/java/org/example/AccountService.java": [
                ("public synchronized long balance", "public long balance"),
                ("text = text + part;", "text = text.concat(part);"),
            ]
        },
    ),
    Case(
        "Java: javadoc",
        "nothing",
        "a comment",
        BANK,
        {"src/main/java/org/example/AccountService.java": [("/** Accounts. */", "/** The accounts. */")]},
    ),
    Case(
        "Rust: one method",
        "pass",
        "no clone before sorting",
        SCAN,
        {
            "src/main.rs": [
                ("self.seen.clone().into_iter().collect();", "self.seen.iter().map(|(k, v)| (k.clone(), *v)).collect();")
            ]
        },
    ),
    Case(
        "Rust: struct, constructor and user of a new map",
        "pass",
        "the map's type changes in three places that name each other",
        SCAN,
        {
            "src/main.rs": [
                ("use std::collections::BTreeMap;", "use std::collections::HashMap;"),
                ("seen: BTreeMap<String, usize>", "seen: HashMap<String, usize>"),
                ("Counter { seen: BTreeMap::new() }", "Counter { seen: HashMap::new() }"),
            ]
        },
    ),
    Case(
        "Rust: words and constant",
        "two-components",
        "lower-casing and the number shown",
        SCAN,
        {
            "src/main.rs": [
                ("w.to_lowercase()", "w.to_ascii_lowercase()"),
                ("const SHOWN: usize = 10;", "const SHOWN: usize = 5;"),
            ]
        },
    ),
    Case(
        "Rust: the test module",
        "nothing",
        "cfg(test) is not built into the service",
        SCAN,
        {"src/main.rs": [('super::words("A b").len(), 2', 'super::words("A").len(), 1')]},
    ),
)

CASES = (*CONFIG, *SCHEMA, *DEPENDENCIES, *LANGUAGES)
