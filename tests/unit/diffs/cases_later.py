"""A second batch, written when the rule already stood, to see how it does on edits it was not built with."""
# ruff: noqa: E501  (other projects' lines, as they are)

from diffs.case import Case
from diffs.projects import LIBRARY, SHOP
from diffs.projects_compiled import BANK, GATE, NODE, SCAN

STOCK = {
    "stock/base.py": """\
class Repository:
    def __init__(self, db):
        self.db = db

    def get(self, key):
        return self.db.execute("SELECT * FROM stock WHERE key = ?", (key,)).fetchone()

    def all_keys(self):
        return [row["key"] for row in self.db.execute("SELECT key FROM stock")]
""",
    "stock/repository.py": """\
from stock.base import Repository


class StockRepository(Repository):
    def get(self, key):
        row = super().get(key)
        return dict(row) if row else None

    def low(self, limit):
        return [key for key in self.all_keys() if self.get(key)["count"] < limit]
""",
    "stock/service.py": """\
import logging
import time

import requests

from stock.repository import StockRepository

log = logging.getLogger(__name__)
RETRIES = 3


def restock(repository: StockRepository, key, count=1):
    row = repository.get(key)
    row["count"] += count
    notify(key, row["count"])
    return row


def notify(key, count):
    for attempt in range(RETRIES):
        answer = requests.post("http://mail/notify", json={"key": key, "count": count}, timeout=5)
        if answer.ok:
            return True
        time.sleep(0.1 * attempt)
    raise ValueError("could not notifiy the buyer")


def report(repository, limit=10):
    lines = []
    for key in repository.low(limit=limit):
        lines.append(f"{key} is low")
    return "\\n".join(lines)


def monthly(repository):
    return report(repository, limit=100)


@api.get("/stock")
def show_all(repository):
    log.info("all")
    return [repository.get(key) for key in repository.all_keys()]


@api.get("/stock/low")
def show_low(repository):
    log.info("low")
    return repository.low(limit=5)
""",
    "stock/config.py": "TIMEOUT = 5\nPAGE = 10\n",
    "requirements.in": "requests\n",
    "requirements.txt": "certifi==2023.7.22\n    # via requests\nidna==3.4\n    # via requests\nrequests==2.31.0\n    # via -r requirements.in\n",
    "k8s/deployment.yaml": "spec:\n  replicas: 2\n  template:\n    spec:\n      containers:\n        - name: web\n          resources:\n            limits:\n              cpu: 500m\n              memory: 256Mi\n",
    "queries/stock.sql": "-- name: low_stock\nSELECT * FROM stock WHERE count < 5;\n",
    "templates/a.html": "<p>{{ a }}</p>\n",
    "templates/b.html": "<p>{{ b }}</p>\n",
}
TYPED = {
    "src/api.ts": """\
import { Store } from "./store";

interface Reply {
  items: string[];
}

const store = new Store();

export class Api {
  private hits = 0;

  constructor(private readonly name: string) {}

  list(): Reply {
    console.log("list");
    this.hits = this.hits + 1;
    return { items: store.search("") };
  }

  one(id: string): string | undefined {
    console.log("one");
    return store.search(id)[0];
  }
}
""",
    "src/store.ts": """\
export class Store {
  private rows: string[];

  constructor() {
    this.rows = [];
  }

  search(word: string): string[] {
    return this.rows.filter((row) => row.includes(word));
  }

  insert(row: string): void {
    this.rows.push(row);
  }
}
""",
}

PYTHON = (
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
            "stock/base.py": [('"SELECT * FROM stock WHERE key = ?"', '"SELECT key, count FROM stock WHERE key = ?"')],
            "stock/repository.py": [
                ("return dict(row) if row else None", 'return {"key": row[0], "count": row[1]} if row else None')
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
            "stock/service.py": [('    row["count"] += count\n', '    row = dict(row)\n    row["count"] += count\n')],
        },
    ),
    Case(
        "method with a telling name on an object of unknown kind",
        "pass",
        "report calls low, and nothing else is called so",
        STOCK,
        {
            "stock/repository.py": [
                ('return [key for key in self.all_keys() if self.get(key)["count"] < limit]', "return self.keys_below(limit)")
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
                ("return [repository.get(key) for key in repository.all_keys()]", "return repository.every()"),
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
            "shop/pricing.py": [("def rate_for(currency):\n", "def rate_for(currency):\n    currency = currency.upper()\n")],
        },
    ),
    Case(
        "new setting for the edited function",
        "pass",
        "nothing else reads it",
        SHOP,
        {
            "shop/settings.py": [("QUERY_TIMEOUT = 30\n", "QUERY_TIMEOUT = 30\nBUSY_TIMEOUT = 5\n")],
            "shop/db.py": [
                ("sqlite3.connect(settings.DATABASE)", "sqlite3.connect(settings.DATABASE, timeout=settings.BUSY_TIMEOUT)")
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
        renames={f"stock/{n}.py": f"inventory/{n}.py" for n in ("base", "repository", "service", "config")},
    ),
    Case(
        "model method and an unrelated view",
        "two-components",
        "Book.label is not called by AuthorList",
        LIBRARY,
        {
            "library/books/models.py": [('return f"{self.title} ({self.author.name})"', "return self.title")],
            "library/books/views.py": [("return Author.objects.all()", 'return Author.objects.only("name")')],
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
                ("    row = repository.get(key)\n", "    lines = repository.get(key)\n    row = lines\n"),
            ],
        },
    ),
)

OTHER = (
    Case("replicas", "pass", "one setting", STOCK, {"k8s/deployment.yaml": [("replicas: 2", "replicas: 4")]}),
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
    Case("a query file", "pass", "SQL that runs per request", STOCK, {"queries/stock.sql": [("SELECT *", "SELECT key")]}),
    Case(
        "two templates",
        "two-components",
        "two pages",
        STOCK,
        {"templates/a.html": [("<p>", "<b>")], "templates/b.html": [("<p>", "<i>")]},
    ),
    Case(
        "requirements compiled anew for one bump",
        "pass",
        "idna and certifi come with requests",
        STOCK,
        {
            "requirements.in": [("requests\n", "requests>=2.32\n")],
            "requirements.txt": [("2023.7.22", "2024.7.4"), ("idna==3.4", "idna==3.7"), ("requests==2.31.0", "requests==2.32.3")],
        },
    ),
    Case(
        "dependency dropped with the code that used it",
        "pass",
        "the package acted only through notify",
        STOCK,
        {
            "requirements.in": [("requests\n", "")],
            "requirements.txt": [
                (
                    "certifi==2023.7.22\n    # via requests\nidna==3.4\n    # via requests\nrequests==2.31.0\n    # via -r requirements.in\n",
                    "",
                )
            ],
            "stock/service.py": [
                ("import requests\n\n", "from stock import mail\n\n"),
                (
                    'answer = requests.post("http://mail/notify", json={"key": key, "count": count}, timeout=5)',
                    "answer = mail.send(key, count)",
                ),
            ],
        },
    ),
    Case(
        "redis: service, package and code",
        "two-kinds",
        "a new container takes memory and CPU from the rest; measure it apart",
        SHOP,
        {
            "docker-compose.yml": [("  db:\n", "  redis:\n    image: redis:7\n  db:\n")],
            "shop/db.py": [("def fetch_tags(item):\n", "def fetch_tags(item):\n    return redis.smembers(item)\n")],
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
    Case("test script", "nothing", "how tests are started", NODE, {"package.json": [('"test": "jest"', '"test": "jest --ci"')]}),
    Case(
        "a build step and code",
        "two-kinds",
        "the image and the code",
        SHOP,
        {
            "Dockerfile": [("WORKDIR /srv\n", "WORKDIR /srv\nRUN apt-get update && apt-get install -y libjemalloc2\n")],
            "shop/catalog.py": [('.strip("-")', "")],
        },
    ),
    Case(
        "TypeScript: an interface",
        "nothing",
        "types are gone before anything runs",
        TYPED,
        {"src/api.ts": [("  items: string[];\n", "  items: string[];\n  total?: number;\n")]},
    ),
    Case(
        "TypeScript: one method",
        "pass",
        "one method",
        TYPED,
        {"src/store.ts": [("row.includes(word)", "row.indexOf(word) >= 0")]},
    ),
    Case(
        "TypeScript: a field, its constructor and its users",
        "pass",
        "the rows become a set in every place that touches them",
        TYPED,
        {
            "src/store.ts": [
                ("  private rows: string[];\n", "  private kept: Set<string>;\n"),
                ("    this.rows = [];\n", "    this.kept = new Set();\n"),
                ("this.rows.filter(", "[...this.kept].filter("),
                ("this.rows.push(row)", "this.kept.add(row)"),
            ]
        },
    ),
    Case(
        "TypeScript: console lines",
        "pass",
        "one mechanical edit at two sites",
        TYPED,
        {"src/api.ts": [('    console.log("list");\n', ""), ('    console.log("one");\n', "")]},
    ),
    Case(
        "TypeScript: two methods",
        "two-components",
        "list and insert",
        TYPED,
        {
            "src/api.ts": [("this.hits = this.hits + 1;", "this.hits += 1;")],
            "src/store.ts": [("this.rows.push(row)", "this.rows.unshift(row)")],
        },
    ),
    Case(
        "Go: a new field, its constructor and its reader",
        "pass",
        "the index is filled by Open and read by Search",
        GATE,
        {
            "store/store.go": [
                ("	rows []string\n", "	rows []string\n	lowered []string\n"),
                ("return &Store{rows: load(path)}", "rows := load(path)\n	return &Store{rows: rows, lowered: lowerAll(rows)}"),
                ("for _, row := range s.rows {", "for _, row := range s.lowered {"),
                (
                    "func top(",
                    "func lowerAll(rows []string) []string {\n	out := []string{}\n	for _, row := range rows {\n		out = append(out, strings.ToLower(row))\n	}\n	return out\n}\n\nfunc top(",
                ),
            ]
        },
    ),
    Case(
        "Go: gofmt and import order",
        "nothing",
        "layout",
        GATE,
        {"main.go": [('	"net/http"\n\n	"example.com/gate/store"\n', '	"example.com/gate/store"\n	"net/http"\n')]},
    ),
    Case(
        "Go: constant and main",
        "pass",
        "main uses the constant",
        GATE,
        {"main.go": [("const maxHits = 20", "const maxHits = 10"), ('"q"), maxHits', '"query"), maxHits')]},
    ),
    Case(
        "Java: a cache field and its method",
        "pass",
        "the field is read by balance alone",
        BANK,
        {
            "src/main/java/org/example/AccountService.java": [
                (
                    "    private static final int LIMIT = 100;\n",
                    "    private static final int LIMIT = 100;\n    private final java.util.Map<Long, Long> sums = new java.util.HashMap<>();\n",
                ),
                (
                    "        long sum = 0;\n",
                    "        Long known = sums.get(account);\n        if (known != null) return known;\n        long sum = 0;\n",
                ),
            ]
        },
    ),
    Case(
        "Rust: inline",
        "pass",
        "an attribute is code",
        SCAN,
        {"src/main.rs": [("fn words(text", "#[inline(always)]\nfn words(text")]},
    ),
    Case(
        "Rust: main and busiest",
        "pass",
        "main calls busiest",
        SCAN,
        {"src/main.rs": [('words("a b a")', 'words("a b c")'), ("rows.truncate(SHOWN);", "rows.truncate(5);")]},
    ),
    Case(
        "JavaScript: exports only",
        "nothing",
        "another name is handed out, nothing uses it",
        NODE,
        {"src/format.js": [("module.exports = { formatOrder, money };", "module.exports = { money, formatOrder };")]},
    ),
    Case(
        "JavaScript: a middleware and a handler",
        "two-components",
        "compression acts on all, the handler on one",
        NODE,
        {
            "src/server.js": [
                ("app.use(express.json());\n", 'app.use(express.json());\napp.set("etag", false);\n'),
                ("const order = await findOrder(req.params.id);", "const order = await findOrder(+req.params.id);"),
            ]
        },
    ),
)

CASES = (*PYTHON, *OTHER)
