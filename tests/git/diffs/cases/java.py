"""Edits of a service in Java."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.projects.compiled import BANK

FIRST = (
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
)
SECOND = (
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
)
THIRD = (
    Case(
        "Java: a limit never read",
        "pass",
        "a constant alone",
        BANK,
        {"src/main/java/org/example/AccountService.java": [("LIMIT = 100", "LIMIT = 50")]},
    ),
    Case(
        "Java: statements and describe",
        "pass",
        "statements calls describe",
        BANK,
        {
            "src/main/java/org/example/AccountService.java": [
                ("found.add(describe(entry));", "found.add(describe(entry, found.size()));"),
                (
                    "private Statement describe(Entry entry) {",
                    "private Statement describe(Entry entry, int at) {",
                ),
            ]
        },
    ),
)
CASES = (*FIRST, *SECOND, *THIRD)
