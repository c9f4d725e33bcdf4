"""The second batch, beside Python: written when the rule already stood, to see how it does on edits
it was not built with.
"""
# ruff: noqa: E501  (other projects' lines, as they are)

from diffs.case import Case
from diffs.projects import SHOP
from diffs.projects_compiled import BANK, GATE, NODE, SCAN
from diffs.projects_stock import STOCK, TYPED

CASES = (
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
        "requirements compiled anew for one bump",
        "pass",
        "idna and certifi come with requests",
        STOCK,
        {
            "requirements.in": [("requests\n", "requests>=2.32\n")],
            "requirements.txt": [
                ("2023.7.22", "2024.7.4"),
                ("idna==3.4", "idna==3.7"),
                ("requests==2.31.0", "requests==2.32.3"),
            ],
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
                (
                    "return &Store{rows: load(path)}",
                    "rows := load(path)\n	return &Store{rows: rows, lowered: lowerAll(rows)}",
                ),
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
        {
            "main.go": [
                (
                    '	"net/http"\n\n	"example.com/gate/store"\n',
                    '	"example.com/gate/store"\n	"net/http"\n',
                )
            ]
        },
    ),
    Case(
        "Go: constant and main",
        "pass",
        "main uses the constant",
        GATE,
        {
            "main.go": [
                ("const maxHits = 20", "const maxHits = 10"),
                ('"q"), maxHits', '"query"), maxHits'),
            ]
        },
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
        {
            "src/main.rs": [
                ('words("a b a")', 'words("a b c")'),
                ("rows.truncate(SHOWN);", "rows.truncate(5);"),
            ]
        },
    ),
    Case(
        "JavaScript: exports only",
        "nothing",
        "another name is handed out, nothing uses it",
        NODE,
        {
            "src/format.js": [
                (
                    "module.exports = { formatOrder, money };",
                    "module.exports = { money, formatOrder };",
                )
            ]
        },
    ),
    Case(
        "JavaScript: a middleware and a handler",
        "two-components",
        "compression acts on all, the handler on one",
        NODE,
        {
            "src/server.js": [
                (
                    "app.use(express.json());\n",
                    'app.use(express.json());\napp.set("etag", false);\n',
                ),
                (
                    "const order = await findOrder(req.params.id);",
                    "const order = await findOrder(+req.params.id);",
                ),
            ]
        },
    ),
)
