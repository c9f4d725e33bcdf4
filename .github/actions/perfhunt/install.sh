# perfhunt in an environment of its own, on the PATH of the steps after this one.
# Environment: SPEC (what pip installs; "" is the checkout this action is from), PYTHON.
set -euo pipefail
home="$RUNNER_TEMP/perfhunt"
"$PYTHON" -m venv "$home"
"$home/bin/pip" install --quiet --disable-pip-version-check "${SPEC:-$GITHUB_ACTION_PATH/../../..}"
echo "$home/bin" >>"$GITHUB_PATH"
