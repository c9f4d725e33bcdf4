# One comment on a pull request: written, or written anew where one with the same mark is there.
# Environment: GH_TOKEN, REPOSITORY, NUMBER, BODY (a file); AUTHOR is who writes with that token.
set -euo pipefail
if [ ! -f "$BODY" ]; then
  echo "there is no $BODY: nothing to write"
  exit 0
fi
MARK=$(head -n 1 "$BODY")
if ! [[ $MARK =~ ^'<!-- perfhunt '[A-Za-z0-9-]*' -->'$ ]] || ! [[ $NUMBER =~ ^[0-9]+$ ]]; then
  echo "::error::$BODY does not begin with a mark of perfhunt, or there is no number of a pull request"
  exit 1
fi
if [ "$(wc -c <"$BODY")" -gt 65536 ]; then
  echo "::error::$BODY is longer than a comment may be"
  exit 1
fi
export MARK AUTHOR="${AUTHOR:-github-actions[bot]}"
comments="repos/$REPOSITORY/issues/$NUMBER/comments"
there=$(gh api --paginate "$comments" --jq '.[] | select(.user.login == env.AUTHOR and (.body | startswith(env.MARK))) | .id' |
  head -n 1)
if [ -n "$there" ]; then
  gh api --silent --method PATCH "repos/$REPOSITORY/issues/comments/$there" -F "body=@$BODY"
else
  gh api --silent --method POST "$comments" -F "body=@$BODY"
fi
