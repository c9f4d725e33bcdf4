"""The pages that are made from the code.

python scripts/docs_pages.py           write them
python scripts/docs_pages.py --check   write nothing; exit 1 and name those that are stale
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(words: list[str]) -> int:
    """Write the pages, or name those that differ from what would be written."""
    import docs_exit_codes
    import docs_man
    import docs_run_json
    import docs_test_file
    import docs_verbs

    pages = {
        "docs/reference/verbs.md": docs_verbs.page(),
        "docs/reference/test-file.md": docs_test_file.page(),
        "docs/reference/run-json.md": docs_run_json.page(),
        "docs/reference/exit-codes.md": docs_exit_codes.page(),
        "docs/perfhunt.1": docs_man.page(),
    }
    stale = [name for name, text in pages.items() if read(ROOT / name) != text]
    if "--check" in words:
        for name in stale:
            print(f"{name} is stale: scripts/docs --pages")
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(pages[name])
        print(f"docs: wrote {name}")
    return 0


def read(path: Path) -> str:
    """The text of a page; "" where there is none yet."""
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
