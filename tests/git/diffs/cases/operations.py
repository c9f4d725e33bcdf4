"""Edits of configuration, schema and data."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.projects.asynchronous import FEED, LIBRARY
from tests.git.diffs.projects.compiled import BANK, SCAN
from tests.git.diffs.projects.shop import SHOP

FIRST = (
    Case(
        "worker count",
        "pass",
        "one setting",
        SHOP,
        {"gunicorn.conf.py": [("workers = 2", "workers = 4")]},
    ),
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
        {
            "gunicorn.conf.py": [
                ('worker_class = "sync"\n', 'worker_class = "gthread"\nthreads = 8\n')
            ]
        },
    ),
    Case(
        "workers and a code edit",
        "two-kinds",
        "configuration and code",
        SHOP,
        {
            "gunicorn.conf.py": [("workers = 2", "workers = 4")],
            "shop/catalog.py": [('.strip("-")', "")],
        },
    ),
    Case(
        "Dockerfile comment",
        "nothing",
        "a comment",
        SHOP,
        {"Dockerfile": [("# the service", "# the web service")]},
    ),
    Case(
        "base image",
        "pass",
        "one interpreter change",
        SHOP,
        {"Dockerfile": [("python:3.11-slim", "python:3.12-slim")]},
    ),
    Case(
        "base image and workers",
        "two-components",
        "a new interpreter and a new worker count",
        SHOP,
        {
            "Dockerfile": [
                ("python:3.11-slim", "python:3.12-slim"),
                ('"--workers", "2"', '"--workers", "4"'),
            ]
        },
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
        {
            "docker-compose.yml": [
                (
                    "shared_buffers=128MB -c max_connections=100",
                    "shared_buffers=1GB -c max_connections=400",
                )
            ]
        },
    ),
    Case(
        "a new service in compose",
        "pass",
        "one block, whatever it holds",
        SHOP,
        {
            "docker-compose.yml": [
                (
                    "  db:\n",
                    '  cache:\n    image: redis:7\n    ports:\n      - "6379:6379"\n  db:\n',
                )
            ]
        },
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
                (
                    "    listen 80;\n",
                    "    listen 80;\n    gzip on;\n    gzip_types application/json;\n    gzip_comp_level 2;\n",
                )
            ]
        },
    ),
    Case(
        "nginx workers and gzip",
        "two-components",
        "two features",
        FEED,
        {
            "nginx.conf": [
                ("worker_processes 2;", "worker_processes 4;"),
                ("    listen 80;\n", "    listen 80;\n    gzip on;\n"),
            ]
        },
    ),
    Case(
        "environment file value",
        "pass",
        "one variable",
        FEED,
        {".env": [("POOL_MAX=5", "POOL_MAX=20")]},
    ),
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
        {
            "src/main/resources/application.yml": [
                ("maximum-pool-size: 10", "maximum-pool-size: 30")
            ]
        },
    ),
    Case(
        "Spring pool and threads",
        "two-components",
        "two pools",
        BANK,
        {
            "src/main/resources/application.yml": [
                ("maximum-pool-size: 10", "maximum-pool-size: 30"),
                ("max: 200", "max: 400"),
            ]
        },
    ),
    Case(
        "YAML reordered",
        "nothing",
        "the same settings in another order",
        BANK,
        {
            "src/main/resources/application.yml": [
                ("  port: 8080\n", ""),
                ("      max: 200\n", "      max: 200\n  port: 8080\n"),
            ]
        },
    ),
    Case(
        "Rust link-time optimisation",
        "pass",
        "one build setting",
        SCAN,
        {"Cargo.toml": [("opt-level = 3\n", 'opt-level = 3\nlto = "fat"\n')]},
    ),
    Case(
        "one index in SQL",
        "pass",
        "one statement",
        SHOP,
        writes={
            "migrations/002.sql": "-- faster reviews\nCREATE INDEX reviews_item ON reviews (item_id);\n"
        },
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
            "library/books/migrations/0002_isbn.py": "from django.db import migrations, models\n"
            "\n"
            "\n"
            "class Migration(migrations.Migration):\n"
            "    dependencies = [('books', '0001_initial')]\n"
            "    operations = [\n"
            "        migrations.AddIndex(model_name='book', index=models.Index(fields=['isbn'], name='book_isbn')),\n"
            "    ]\n"
        },
    ),
    Case(
        "two Django indexes in one migration",
        "two-components",
        "isbn and published serve different queries",
        LIBRARY,
        writes={
            "library/books/migrations/0002_more.py": "from django.db import migrations, models\n"
            "\n"
            "\n"
            "class Migration(migrations.Migration):\n"
            "    operations = [\n"
            "        migrations.AddIndex(model_name='book', index=models.Index(fields=['isbn'], name='book_isbn')),\n"
            "        migrations.AddIndex(model_name='book', index=models.Index(fields=['published'], name='book_published')),\n"
            "    ]\n"
        },
    ),
    Case(
        "Alembic index",
        "pass",
        "one operation; downgrade mirrors it",
        FEED,
        writes={
            "alembic/versions/002_created.py": "from alembic import op\n"
            "\n"
            'revision = "002"\n'
            "\n"
            "\n"
            "def upgrade():\n"
            '    op.create_index(op.f("ix_posts_created"), "posts", ["created"])\n'
            "\n"
            "\n"
            "def downgrade():\n"
            '    op.drop_index("ix_posts_created")\n'
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
        {
            "fixtures/items.csv": [("2,Chair\n", "2,Chair\n3,Table\n")],
            "shop/catalog.py": [('.strip("-")', "")],
        },
    ),
    Case(
        "a template",
        "pass",
        "templates are rendered per request",
        SHOP,
        {"shop/templates/items.html": [("{{ item.name }}", "{{ item.name|e }}")]},
    ),
)
CASES = FIRST
