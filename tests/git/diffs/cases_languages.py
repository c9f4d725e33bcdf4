"""Edits of dependencies, and of services in other languages than Python."""

from diffs.case import Case
from diffs.projects import SHOP
from diffs.projects_async import FEED
from diffs.projects_compiled import BANK, GATE, NODE, SCAN

FASTAPI_BUMP = [
    ('name = "fastapi"\nversion = "0.110.0"', 'name = "fastapi"\nversion = "0.115.0"'),
    ('name = "starlette"\nversion = "0.36.3"', 'name = "starlette"\nversion = "0.41.0"'),
    ('name = "pydantic"\nversion = "2.6.0"', 'name = "pydantic"\nversion = "2.9.0"'),
]

DEPENDENCIES = (
    Case(
        "one package bumped",
        "pass",
        "one version",
        SHOP,
        {"requirements.txt": [("flask==3.0.0", "flask==3.0.3")]},
    ),
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
        {
            "uv.lock": [
                *FASTAPI_BUMP,
                ('name = "asyncpg"\nversion = "0.29.0"', 'name = "asyncpg"\nversion = "0.30.0"'),
            ]
        },
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
                (
                    '"node_modules/express": { "version": "4.18.0"',
                    '"node_modules/express": { "version": "4.19.0"',
                ),
                (
                    '"node_modules/body-parser": { "version": "1.20.1" }',
                    '"node_modules/body-parser": { "version": "1.20.2" }',
                ),
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
        {
            "go.mod": [
                ("go-redis/v9 v9.3.0", "go-redis/v9 v9.5.0"),
                ("xxhash/v2 v2.2.0", "xxhash/v2 v2.3.0"),
            ]
        },
    ),
    Case(
        "Go toolchain and a module",
        "two-kinds",
        "a compiler and a library",
        GATE,
        {"go.mod": [("go 1.21", "go 1.22"), ("chi/v5 v5.0.10", "chi/v5 v5.1.0")]},
    ),
    Case(
        "Maven version by property",
        "pass",
        "one artifact",
        BANK,
        {"pom.xml": [("2.15.0", "2.17.0")]},
    ),
    Case(
        "Maven test scope",
        "nothing",
        "junit is for tests",
        BANK,
        {"pom.xml": [("4.13.1", "4.13.2")]},
    ),
    Case(
        "Cargo lock, one crate",
        "pass",
        "hyper alone",
        SCAN,
        {
            "Cargo.lock": [
                ('name = "hyper"\nversion = "1.1.0"', 'name = "hyper"\nversion = "1.4.0"')
            ]
        },
    ),
    Case(
        "Cargo lock, two crates",
        "two-packages",
        "hyper and serde_json",
        SCAN,
        {
            "Cargo.lock": [
                ('version = "1.1.0"', 'version = "1.4.0"'),
                ('version = "1.0.111"', 'version = "1.0.120"'),
            ]
        },
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
                    (
                        "  await Promise.all(rows.map(async (row) => { row.lines = await"
                        " findLines(row.id); }));\n"
                    ),
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
                (
                    "res.json(orders.map(formatOrder));",
                    "res.send(JSON.stringify(orders.map(formatOrder)));",
                ),
                (
                    "const order = await findOrder(req.params.id);",
                    "const order = await findOrder(Number(req.params.id));",
                ),
            ]
        },
    ),
    Case(
        "JavaScript: comment",
        "nothing",
        "a comment",
        NODE,
        {"src/server.js": [("  // one by one\n", "  // all of them\n")]},
    ),
    Case(
        "JavaScript: caller and callee in two files",
        "pass",
        "findOrders takes an offset now",
        NODE,
        {
            "src/orders.js": [
                (
                    "async function findOrders(limit) {",
                    "async function findOrders(limit, offset = 0) {",
                ),
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
                    (
                        '"express": "^4.18.0", "fast-json-stringify": "^5.0.0", "pg": "^8.11.0"'
                        ' },\n  "devD'
                    ),
                )
            ],
            "package-lock.json": [
                (
                    '    "node_modules/jest"',
                    (
                        '    "node_modules/fast-json-stringify": { "version": "5.0.0" },\n   '
                        ' "node_modules/jest"'
                    ),
                )
            ],
            "src/format.js": [
                (
                    "function formatOrder(order) {\n",
                    (
                        'const build = require("fast-json-stringify");\n\nfunction'
                        " formatOrder(order) {\n"
                    ),
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
        {
            "src/format.js": [("(cents / 100).toFixed(2)", "String(cents / 100)")],
            "src/orders.js": [("max: 10", "max: 40")],
        },
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
                (
                    "	found := []string{}\n",
                    "	found := []string{}\n	lowered := strings.ToLower(words)\n",
                ),
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
                    (
                        "func top(rows []string, limit int) []string {\n	if len(rows) > limit"
                        " {\n		return rows[:limit]"
                    ),
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
            "main.go": [
                ("// render writes the hits as lines.", "// render writes one hit per line.")
            ],
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
                (
                    "new Statement(text, entry.amount())",
                    "new Statement(text.toString(), entry.amount())",
                ),
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
        {
            "src/main/java/org/example/AccountService.java": [
                ("/** Accounts. */", "/** The accounts. */")
            ]
        },
    ),
    Case(
        "Rust: one method",
        "pass",
        "no clone before sorting",
        SCAN,
        {
            "src/main.rs": [
                (
                    "self.seen.clone().into_iter().collect();",
                    "self.seen.iter().map(|(k, v)| (k.clone(), *v)).collect();",
                )
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

CASES = (*DEPENDENCIES, *LANGUAGES)
