# Sourced by the other scripts: a virtual environment of the project's own, made once and brought up to date when
# pyproject.toml changes. Sets PYTHON. Usage: . scripts/venv.sh EXTRAS   (e.g. "demo" or "dev,demo,langs")
set -euo pipefail
# Images for containers often set this; every process that the tests start would then compile what it imports.
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV="${PERFHUNT_VENV:-$PWD/.venv}"
EXTRAS="$1"
STAMP="$VENV/.perfhunt-$(echo "$EXTRAS" | tr ',' '-')-$(sha256sum pyproject.toml | cut -c1-16)"

find_python() {
  for candidate in "${PERFHUNT_PYTHON:-}" python3.13 python3.12 python3.11 python3; do
    [ -n "$candidate" ] || continue
    "$candidate" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 14)))' 2>/dev/null && { echo "$candidate"; return; }
  done
  echo "perfhunt needs Python 3.11 or newer: install it (Debian: apt-get install python3 python3-venv), or set PERFHUNT_PYTHON" >&2
  return 1
}

if [ ! -e "$STAMP" ]; then
  [ -x "$VENV/bin/python" ] || {
    python="$(find_python)"
    echo "making $VENV with $("$python" --version)" >&2
    "$python" -m venv "$VENV" || { echo "python3 -m venv failed: apt-get install python3-venv" >&2; exit 1; }
  }
  echo "installing perfhunt[$EXTRAS] into $VENV" >&2
  "$VENV/bin/python" -m pip install -q --disable-pip-version-check -e ".[$EXTRAS]"
  touch "$STAMP"
fi
PYTHON="$VENV/bin/python"
