"""Edits of a service in Go."""
# ruff: noqa: E501  (other projects' lines, as they are)

from tests.git.diffs.case import Case
from tests.git.diffs.projects.compiled import GATE

FIRST = (
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
                        "func top(rows []string, limit int) []string {\n"
                        "\tif len(rows) > limit {\n"
                        "\t\treturn rows[:limit]"
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
)
SECOND = (
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
)
THIRD = (
    Case(
        "Go: a function across two files of a package",
        "pass",
        "main calls Search",
        GATE,
        {
            "main.go": [('r.URL.Query().Get("q"), maxHits', 'r.URL.Query().Get("q")')],
            "store/store.go": [
                ("Search(words string, limit int)", "Search(words string)"),
                ("return top(found, limit)", "return top(found, 20)"),
            ],
        },
    ),
    Case(
        "Go: renamed method",
        "nothing",
        "a pure rename across files",
        GATE,
        {
            "main.go": [("s.Search(", "s.Find(")],
            "store/store.go": [
                ("// Search finds", "// Find finds"),
                (") Search(words", ") Find(words"),
            ],
        },
    ),
)
CASES = (*FIRST, *SECOND, *THIRD)
