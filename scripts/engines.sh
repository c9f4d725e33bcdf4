# Sourced by the other scripts: the load programs that perfhunt can drive and the linter of workflows from the Go module
# registry, what looks at pages and profiles from npm's, and the paths to them.
# One that is there already is left alone; without Go or npm its tests are skipped.
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
if command -v npm >/dev/null 2>&1; then
  modules="$(npm root --global 2>/dev/null)"
  for package in axe-core speedscope; do
    [ ! -d "$modules/$package" ] || continue
    # Where npm finds what is global, from here on: a folder of the user's own.
    export NPM_CONFIG_PREFIX="$HOME/.cache/perfhunt-bench"
    [ ! -d "$NPM_CONFIG_PREFIX/lib/node_modules/$package" ] || continue
    echo "installing $package" >&2
    npm install --global --silent --no-audit --no-fund "$package" >/dev/null 2>&1 || echo "could not install $package: its tests are skipped" >&2
  done
else
  echo "not installed, so what needs them is skipped: axe-core, speedscope (there is no npm)" >&2
fi
