"""Edits of services in JavaScript and TypeScript."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.projects.compiled import NODE
from tests.git.diffs.projects.stock import TYPED

FIRST = (
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
                        "  await Promise.all(rows.map(async (row) => { row.lines = await findLines(row.id); }));\n"
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
                        '"express": "^4.18.0", "fast-json-stringify": "^5.0.0", "pg": "^8.11.0" },\n'
                        '  "devD'
                    ),
                )
            ],
            "package-lock.json": [
                (
                    '    "node_modules/jest"',
                    (
                        '    "node_modules/fast-json-stringify": { "version": "5.0.0" },\n'
                        '    "node_modules/jest"'
                    ),
                )
            ],
            "src/format.js": [
                (
                    "function formatOrder(order) {\n",
                    (
                        'const build = require("fast-json-stringify");\n'
                        "\n"
                        "function formatOrder(order) {\n"
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
)
SECOND = (
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
THIRD = (
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
)
CASES = (*FIRST, *SECOND, *THIRD)
