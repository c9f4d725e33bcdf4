"""One escape per format, and nobody else escapes or keeps. Enforces SECURITY.md, "Names" and
"Secrets".
"""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.source import PACKAGE, modules, tree, where

HOME = "model/text/escaping.py"
# Calls that escape text, or decide what may be seen of it.
ESCAPING = {
    *("dumps", "isprintable", "maketrans", "translate", "saxutils", "unicode_escape"),
    *("html_escape", "escape", "quoteattr", "Markup"),
}
# Who may call one all the same, each with its reason.
MAY: dict[tuple[str, str], str] = {
    ("model/question.py", "dumps"): "what a fingerprint is counted from",
    ("model/testfile/body.py", "dumps"): "a body that is sent",
    ("model/testfile/template.py", "dumps"): "a value within a body that is sent",
    ("model/testfile/feed.py", "dumps"): "a number of a feed, as it is sent",
    ("model/testfile/traffic_table.py", "isprintable"): "refuses names and paths; shows none",
    ("model/testfile/testfile.py", "isprintable"): "refuses URLs; shows none",
    ("model/traffic/connects.py", "isprintable"): "refuses paths; shows none",
    ("change/readers/__main__.py", "dumps"): "what a child of ours answers",
    ("profilers/node/inspector.py", "dumps"): "an order to Node's inspector",
    ("profilers/inside/agent/sitecustomize.py", "dumps"): "what runs in a service answers",
    ("change/readers/packages/manifests.py", "dumps"): "values that are compared",
    ("change/readers/settings/forms.py", "dumps"): "values that are compared",
    ("model/testfile/template.py", "escape"): "a value within what is sent",
    ("target/runtime.py", "escape"): "of a pattern",
    ("change/readers/lines.py", "escape"): "of a pattern",
    **{
        (f"reports/pictures/{name}.py", "Markup"): "joins elements, and holds text of our own files"
        for name in (
            *("svg", "chart_frame", "charts", "drift_chart", "flamegraph", "history_svg"),
            *("knee_chart", "waterfall_chart"),
        )
    },
    ("reports/html/html.py", "Markup"): "our own style and script",
    ("reports/html/history_page.py", "Markup"): "our own style",
    ("reports/html/verdict_page.py", "Markup"): "our own style",
    ("reports/html/compared.py", "Markup"): "what a template of ours made, which escapes",
}


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _inside(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_nobody_but_the_escaping_module_escapes() -> None:
    wrong, used = [], set()
    for path in modules():
        inside = _inside(path)
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or _name(node) not in ESCAPING or inside == HOME:
                continue
            used.add((inside, _name(node)))
            if (inside, _name(node)) not in MAY:
                wrong.append(f"{where(path, node.lineno)}: {ast.unparse(node.func)}")
    assert not wrong, "\n".join(wrong)
    assert set(MAY) == used, "an exception that nobody needs"


def test_markup_is_made_of_no_text_that_varies_but_in_the_elements_themselves() -> None:
    """`Markup(f"...")` takes what is put in as markup: only `element` may, which escapes first."""
    wrong = [
        where(path, node.lineno)
        for path in modules()
        if _inside(path) not in (HOME, "reports/pictures/svg.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and _name(node) == "Markup"
        and node.args
        and isinstance(node.args[0], ast.JoinedStr)
        and _inside(path) != "reports/pictures/flamegraph.py"  # its own script and style
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_console_writes_to_the_terminal_and_it_cleans() -> None:
    wrong = [
        where(path, node.lineno)
        for path in modules()
        if _inside(path).startswith("cli/") and _inside(path) != "cli/console.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write", "input")
    ]
    assert not wrong, "\n".join(wrong)


def test_only_formats_are_printed_as_they_are() -> None:
    """`console.rendered` and `rendered_json` do not clean: they are for the text of a format."""
    given = {
        ast.unparse(node.args[0])
        for path in modules()
        if _inside(path).startswith("cli/") and _inside(path) != "cli/console.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and _name(node) in ("rendered", "rendered_json")
    }
    assert given
    safe = ("json_text(", "screen_of(", "schema_text(")
    assert [text for text in given if not text.startswith(safe) and text != "text"] == []


def test_texts_of_exceptions_are_said_by_one_function_in_the_load_child() -> None:
    """`{error}` of whatever a locustfile raised would keep what it had in hand."""
    wrong = [
        where(path, node.lineno)
        for path in modules()
        if _inside(path).startswith("load/child/users/")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FormattedValue)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("error", "exception")
    ]
    assert not wrong, "\n".join(wrong)
