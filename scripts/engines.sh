# Sourced by the other scripts: the load programs that perfhunt can drive and the linter of workflows, from the Go module
# registry, and the PATH to them.
# One that is there already is left alone; without Go its tests are skipped.
ENGINES_BIN="$HOME/.cache/perfhunt-bench/bin"
export PATH="$PATH:$ENGINES_BIN"
for pair in vegeta:github.com/tsenart/vegeta/v12@v12.13.0 k6:go.k6.io/k6@v1.8.1 actionlint:github.com/rhysd/actionlint/cmd/actionlint@v1.7.12; do
  command -v "${pair%%:*}" >/dev/null 2>&1 && continue
  if ! command -v go >/dev/null 2>&1; then
    echo "not installed, so what needs it is skipped: ${pair%%:*} (there is no go to build it)" >&2
    continue
  fi
  echo "building ${pair%%:*}" >&2
  GOBIN="$ENGINES_BIN" go install "${pair#*:}" >/dev/null 2>&1 || echo "could not build ${pair%%:*}: its tests are skipped" >&2
done
