"""Edits of a service in Rust."""

from tests.git.diffs.case import Case
from tests.git.diffs.projects.compiled import SCAN

FIRST = (
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
SECOND = (
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
)
THIRD = (
    Case(
        "Rust: derive on a struct",
        "pass",
        "code is generated",
        SCAN,
        {"src/main.rs": [("struct Counter {", "#[derive(Clone)]\nstruct Counter {")]},
    ),
    Case(
        "Rust: add and words",
        "two-components",
        "main calls both, and neither calls the other",
        SCAN,
        {
            "src/main.rs": [
                (".or_insert(0) += 1", ".or_default() += 1"),
                ("w.to_lowercase()", "w.to_ascii_lowercase()"),
            ]
        },
    ),
)
CASES = (*FIRST, *SECOND, *THIRD)
