"""Projects in other languages than Python."""
# ruff: noqa: E501  (other projects' lines, as they are)

NODE = {
    "package.json": """\
{
  "name": "orders",
  "version": "1.0.0",
  "scripts": { "start": "node src/server.js", "test": "jest" },
  "dependencies": { "express": "^4.18.0", "pg": "^8.11.0" },
  "devDependencies": { "jest": "^29.0.0" }
}
""",
    "package-lock.json": """\
{
  "name": "orders",
  "lockfileVersion": 3,
  "packages": {
    "": { "name": "orders", "dependencies": { "express": "^4.18.0", "pg": "^8.11.0" } },
    "node_modules/body-parser": { "version": "1.20.1" },
    "node_modules/express": { "version": "4.18.0", "dependencies": { "body-parser": "1.20.1", "qs": "6.11.0" } },
    "node_modules/jest": { "version": "29.0.0", "dev": true },
    "node_modules/pg": { "version": "8.11.0" },
    "node_modules/qs": { "version": "6.11.0" }
  }
}
""",
    "src/server.js": """\
const express = require("express");
const { findOrders, findOrder } = require("./orders");
const { formatOrder } = require("./format");

const app = express();
const PAGE = 100;

app.use(express.json());

app.get("/orders", async (req, res) => {
  const orders = await findOrders(PAGE);
  // one by one
  res.json(orders.map(formatOrder));
});

app.get("/orders/:id", async (req, res) => {
  const order = await findOrder(req.params.id);
  res.json(formatOrder(order));
});

app.listen(8000);
""",
    "src/orders.js": """\
const { Pool } = require("pg");

const pool = new Pool({ max: 10 });

async function findOrders(limit) {
  const { rows } = await pool.query("SELECT * FROM orders ORDER BY id LIMIT $1", [limit]);
  for (const row of rows) {
    row.lines = await findLines(row.id);
  }
  return rows;
}

async function findOrder(id) {
  const { rows } = await pool.query("SELECT * FROM orders WHERE id = $1", [id]);
  return rows[0];
}

async function findLines(id) {
  const { rows } = await pool.query("SELECT * FROM lines WHERE order_id = $1", [id]);
  return rows;
}

module.exports = { findOrders, findOrder, findLines };
""",
    "src/format.js": """\
function formatOrder(order) {
  return { id: order.id, total: money(order.total), placed: new Date(order.placed).toISOString() };
}

function money(cents) {
  return (cents / 100).toFixed(2);
}

module.exports = { formatOrder, money };
""",
    "src/format.test.js": 'const { money } = require("./format");\n\ntest("money", () => expect(money(100)).toBe("1.00"));\n',
}

GATE = {
    "go.mod": """\
module example.com/gate

go 1.21

require (
	github.com/go-chi/chi/v5 v5.0.10
	github.com/redis/go-redis/v9 v9.3.0
)

require github.com/cespare/xxhash/v2 v2.2.0 // indirect
""",
    "go.sum": "github.com/go-chi/chi/v5 v5.0.10 h1:abc=\n",
    "main.go": """\
package main

import (
	"net/http"

	"example.com/gate/store"
)

const maxHits = 20

func main() {
	s := store.Open("gate.db")
	http.HandleFunc("/search", func(w http.ResponseWriter, r *http.Request) {
		render(w, s.Search(r.URL.Query().Get("q"), maxHits))
	})
	http.ListenAndServe(":8000", nil)
}

// render writes the hits as lines.
func render(w http.ResponseWriter, hits []string) {
	for _, hit := range hits {
		w.Write([]byte(hit + "\\n"))
	}
}
""",
    "store/store.go": """\
package store

import "strings"

type Store struct {
	rows []string
}

func Open(path string) *Store {
	return &Store{rows: load(path)}
}

func load(path string) []string {
	return strings.Split(path, ",")
}

// Search finds rows that hold the words.
func (s *Store) Search(words string, limit int) []string {
	found := []string{}
	for _, row := range s.rows {
		if strings.Contains(strings.ToLower(row), strings.ToLower(words)) {
			found = append(found, row)
		}
	}
	return top(found, limit)
}

func top(rows []string, limit int) []string {
	if len(rows) > limit {
		return rows[:limit]
	}
	return rows
}
""",
    "store/store_test.go": 'package store\n\nimport "testing"\n\nfunc TestTop(t *testing.T) {}\n',
}

BANK = {
    "pom.xml": """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <groupId>org.example</groupId>
  <artifactId>bank</artifactId>
  <properties>
    <jackson.version>2.15.0</jackson.version>
  </properties>
  <dependencies>
    <dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-databind</artifactId><version>${jackson.version}</version></dependency>
    <dependency><groupId>com.zaxxer</groupId><artifactId>HikariCP</artifactId><version>5.0.1</version></dependency>
    <dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.1</version><scope>test</scope></dependency>
  </dependencies>
</project>
""",
    "src/main/resources/application.yml": """\
server:
  port: 8080
  tomcat:
    threads:
      max: 200
spring:
  datasource:
    hikari:
      maximum-pool-size: 10
logging:
  level:
    root: INFO
""",
    "src/main/java/org/example/AccountService.java": """\
package org.example;

import java.util.ArrayList;
import java.util.List;

/** Accounts. */
public class AccountService {
    private final AccountRepository repository;
    private static final int LIMIT = 100;

    public AccountService(AccountRepository repository) {
        this.repository = repository;
    }

    public List<Statement> statements(long account) {
        List<Statement> found = new ArrayList<>();
        for (Entry entry : repository.entriesOf(account)) {
            found.add(describe(entry));
        }
        return found;
    }

    private Statement describe(Entry entry) {
        String text = "";
        for (String part : entry.parts()) {
            text = text + part;
        }
        return new Statement(text, entry.amount());
    }

    public synchronized long balance(long account) {
        long sum = 0;
        for (Entry entry : repository.entriesOf(account)) {
            sum += entry.amount();
        }
        return sum;
    }
}
""",
}

SCAN = {
    "Cargo.toml": '[package]\nname = "scan"\nversion = "0.1.0"\n\n[dependencies]\naxum = "0.7"\nserde_json = "1"\n\n[profile.release]\nopt-level = 3\n',
    "Cargo.lock": """\
version = 3

[[package]]
name = "axum"
version = "0.7.4"
dependencies = ["hyper"]

[[package]]
name = "hyper"
version = "1.1.0"

[[package]]
name = "scan"
version = "0.1.0"
dependencies = ["axum", "serde_json"]

[[package]]
name = "serde_json"
version = "1.0.111"
""",
    "src/main.rs": """\
use std::collections::BTreeMap;

/// How many words to show.
const SHOWN: usize = 10;

struct Counter {
    seen: BTreeMap<String, usize>,
}

impl Counter {
    fn new() -> Self {
        Counter { seen: BTreeMap::new() }
    }

    fn add(&mut self, word: &str) {
        *self.seen.entry(word.to_string()).or_insert(0) += 1;
    }

    fn busiest(&self) -> Vec<(String, usize)> {
        let mut rows: Vec<_> = self.seen.clone().into_iter().collect();
        rows.sort_by(|a, b| b.1.cmp(&a.1));
        rows.truncate(SHOWN);
        rows
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(|w| w.to_lowercase()).collect()
}

fn main() {
    let mut counter = Counter::new();
    for word in words("a b a") {
        counter.add(&word);
    }
    println!("{:?}", counter.busiest());
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts() {
        assert_eq!(super::words("A b").len(), 2);
    }
}
""",
}
