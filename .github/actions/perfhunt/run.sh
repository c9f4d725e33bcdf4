# One verb of perfhunt. Its words come from the environment, each as one word: nothing of them is ever read as shell.
# Environment: VERB, ARTIFACTS, and, empty where not wanted: URL, PID, FILE, AGAINST, EXIT_ZERO_ON, ARGUMENTS and COMMAND (one
# word a line). GITHUB_OUTPUT is told the exit code.
set -uo pipefail
words=("$VERB" --artifacts "$ARTIFACTS")
[ -z "$URL" ] || words+=(--url "$URL")
[ -z "$PID" ] || words+=(--pid "$PID")
[ -z "$FILE" ] || words+=(--file "$FILE")
[ -z "$AGAINST" ] || words+=(--against "$AGAINST")
[ -z "$EXIT_ZERO_ON" ] || words+=(--exit-zero-on "$EXIT_ZERO_ON")
while IFS= read -r word; do
  [ -z "$word" ] || words+=("$word")
done <<<"$ARGUMENTS"
if [ -n "$COMMAND" ]; then
  words+=(--)
  while IFS= read -r word; do
    [ -z "$word" ] || words+=("$word")
  done <<<"$COMMAND"
fi
perfhunt "${words[@]}"
code=$?
echo "exit-code=$code" >>"$GITHUB_OUTPUT"
exit "$code"
