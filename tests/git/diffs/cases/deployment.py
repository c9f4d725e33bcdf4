"""Edits of manifests of a cluster, environment files, migrations, templates and data sets."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.projects.asynchronous import FEED, LIBRARY
from tests.git.diffs.projects.compiled import NODE
from tests.git.diffs.projects.shop import SHOP
from tests.git.diffs.projects.stock import STOCK

SECOND = (
    Case(
        "replicas",
        "pass",
        "one setting",
        STOCK,
        {"k8s/deployment.yaml": [("replicas: 2", "replicas: 4")]},
    ),
    Case(
        "replicas and CPU limit",
        "two-components",
        "two settings",
        STOCK,
        {"k8s/deployment.yaml": [("replicas: 2", "replicas: 4"), ("cpu: 500m", "cpu: 1000m")]},
    ),
    Case(
        "indentation of YAML",
        "nothing",
        "the same settings, deeper",
        STOCK,
        {
            "k8s/deployment.yaml": [
                (
                    "        - name: web\n          resources:\n            limits:\n              cpu: 500m\n              memory: 256Mi\n",
                    "      - name: web\n        resources:\n          limits:\n            cpu: 500m\n            memory: 256Mi\n",
                )
            ]
        },
    ),
    Case(
        "a query file",
        "pass",
        "SQL that runs per request",
        STOCK,
        {"queries/stock.sql": [("SELECT *", "SELECT key")]},
    ),
    Case(
        "two templates",
        "two-components",
        "two pages",
        STOCK,
        {"templates/a.html": [("<p>", "<b>")], "templates/b.html": [("<p>", "<i>")]},
    ),
    Case(
        "redis: service, package and code",
        "two-kinds",
        "a new container takes memory and CPU from the rest; measure it apart",
        SHOP,
        {
            "docker-compose.yml": [("  db:\n", "  redis:\n    image: redis:7\n  db:\n")],
            "shop/db.py": [
                (
                    "def fetch_tags(item):\n",
                    "def fetch_tags(item):\n    return redis.smembers(item)\n",
                )
            ],
        },
    ),
    Case(
        "view and the index on it",
        "pass",
        "the index is of the new view",
        SHOP,
        writes={
            "migrations/003.sql": "CREATE MATERIALIZED VIEW best AS SELECT * FROM items;\nCREATE INDEX best_name ON best (name);\n"
        },
    ),
    Case(
        "two data sets",
        "two-components",
        "rows and a database file in two places",
        SHOP,
        {"fixtures/items.csv": [("2,Chair\n", "2,Chair\n3,Bed\n")]},
        {"data/rates.csv": "EUR,1\n"},
    ),
    Case(
        "start script's memory option",
        "pass",
        "one option of node",
        NODE,
        {"package.json": [("node src/server.js", "node --max-old-space-size=4096 src/server.js")]},
    ),
    Case(
        "test script",
        "nothing",
        "how tests are started",
        NODE,
        {"package.json": [('"test": "jest"', '"test": "jest --ci"')]},
    ),
    Case(
        "a build step and code",
        "two-kinds",
        "the image and the code",
        SHOP,
        {
            "Dockerfile": [
                (
                    "WORKDIR /srv\n",
                    "WORKDIR /srv\nRUN apt-get update && apt-get install -y libjemalloc2\n",
                )
            ],
            "shop/catalog.py": [('.strip("-")', "")],
        },
    ),
)
THIRD = (
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
)
CASES = (*SECOND, *THIRD)
