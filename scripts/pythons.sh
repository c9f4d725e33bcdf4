# Sourced by scripts/test: a CPython 3.14, which Debian has not yet, from the Go module registry, where one is published as
# files to embed; 2 s and 68 MB in the user's cache. The live tests find it there; without Go, or elsewhere than on Linux
# with x86-64, what needs it is skipped.
PYTHON_MODULE=github.com/kluctl/go-embed-python@v0.0.0-3.14.6-20260610-1
PYTHONS="$HOME/.cache/perfhunt-bench/pythons"
if [ ! -x "$PYTHONS/3.14/bin/python3.14" ] && ! command -v python3.14 >/dev/null 2>&1 &&
  command -v go >/dev/null 2>&1 && [ "$(uname -sm)" = "Linux x86_64" ]; then
  echo "unpacking a Python 3.14" >&2
  (cd / && go mod download -json "$PYTHON_MODULE" 2>/dev/null) | "$PYTHON" -c '
import gzip, json, os, pathlib, sys, tempfile
place = pathlib.Path(sys.argv[1])
source = pathlib.Path(json.load(sys.stdin)["Dir"], "python/internal/data/linux-amd64")
place.parent.mkdir(parents=True, exist_ok=True)
with tempfile.TemporaryDirectory(dir=place.parent) as aside:
    made = pathlib.Path(aside, place.name)
    for each in json.loads((source / "files.json").read_text())["files"]:
        path, content = made / each["name"], source / each["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if "symlink" in each:
            path.symlink_to(each["symlink"])
        elif not content.is_dir():
            packed = each.get("compressed")
            path.write_bytes(
                gzip.decompress(content.with_name(content.name + ".gz").read_bytes())
                if packed else content.read_bytes()
            )
            path.chmod(each["perm"] & 0o777)
    os.replace(made, place)
' "$PYTHONS/3.14" 2>/dev/null || echo "could not unpack a Python 3.14: its tests are skipped" >&2
fi
