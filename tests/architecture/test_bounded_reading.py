"""What others wrote is read within bounds. Enforces docs/architecture.md, "Rooms": parsers that
know no limit are called in one file, and files are read whole by those that count bytes.
"""

from __future__ import annotations

import ast

from tests.architecture.source import PACKAGE, modules, tree, where

BOUNDED = PACKAGE / "model" / "document" / "bounded.py"
# Calls without a limit of time, memory or depth.
LIMITLESS = {
    *("json.loads", "json.load", "tomllib.loads", "tomllib.load", "ast.parse", "eval"),
    *("gzip.decompress", "gzip.open", "zlib.decompress", "zlib.decompressobj", "pickle.loads"),
    *("yaml.load", "yaml.load_all", "yaml.safe_load", "ElementTree.fromstring", "ET.fromstring"),
}
WHOLE = ("read_text", "read_bytes", "readline", "readlines")
# Where they stand all the same, and why.
ALLOWED = {
    "change/git/worktree.py": "git's own line before each blob",
    "change/readers": "in a child with limits of time and memory (change/isolated.py)",
    "store/init_file.py": "a file of the package",
    "reports/pictures/svg.py": "a file of the package",
    "profilers/cpython/target.py": "a file of the package",
    "profilers/remote/program.py": "files of the package",
    "profilers/node/door.py": "a file of the package",
    "load/child/host.py": "numbers of the kernel",
    "load/child/http/inspecting.py": "unpacks up to a bound",
    "load/child/http/tls.py": "what is to be sent",
    "load/running_step.py": "samples of our own child",
    "target/keeper.py": "the kernel's line of a process, by a program that imports nothing of ours",
    "target/leash.py": "a file of the package, and what the user's own command printed",
    "safety/lock.py": "a few words of a lock, and what is none is nobody's",
}


def places() -> list[tuple[str, str]]:
    """(file within the package, place and call) of everything that reads without a limit."""
    found = []
    for path in modules():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or path == BOUNDED:
                continue
            name = ast.unparse(node.func)
            method = name.rpartition(".")[2]
            whole = "." in name and (method in WHOLE or (method == "read" and not node.args))
            if name in LIMITLESS or whole:
                found.append(
                    (str(path.relative_to(PACKAGE)), f"{where(path, node.lineno)}: {name}")
                )
    return found


def test_only_bounded_readers_read_what_others_wrote() -> None:
    wrong = [
        place for path, place in places() if not any(path.startswith(known) for known in ALLOWED)
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_allowed_is_there() -> None:
    read = [path for path, _ in places()]
    stale = [known for known in ALLOWED if not any(path.startswith(known) for path in read)]
    assert not stale, stale
