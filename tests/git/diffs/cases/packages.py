"""Edits of dependencies, in manifests and in locks."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.cases.edits import FASTAPI_BUMP
from tests.git.diffs.projects.asynchronous import FEED
from tests.git.diffs.projects.compiled import BANK, GATE, NODE, SCAN
from tests.git.diffs.projects.shop import SHOP
from tests.git.diffs.projects.stock import STOCK

FIRST = (
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
                (
                    "json.dumps(payload, sort_keys=True)",
                    "orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)",
                ),
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
)
SECOND = (
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
)
THIRD = (
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
        "a lock file that only moved its hashes",
        "nothing",
        "the same versions",
        GATE,
        {"go.sum": [("h1:abc=", "h1:abd=")]},
    ),
)
CASES = (*FIRST, *SECOND, *THIRD)
