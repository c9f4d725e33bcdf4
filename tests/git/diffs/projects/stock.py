"""Projects of the later batches."""
# ruff: noqa: E501  (other projects' lines, as they are)

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
