# The comment of a run that measured a fork. Which pull request it is, GitHub says and not the artifact: the one that is open
# and still at the commit that was measured; where there is none, nothing is written.
# Environment: GH_TOKEN, REPOSITORY, RUN, ARTIFACT, HEAD_OWNER, HEAD_BRANCH, HEAD_SHA.
set -euo pipefail
export HEAD_SHA
NUMBER=$(gh api --method GET "repos/$REPOSITORY/pulls" -f state=open -f "head=$HEAD_OWNER:$HEAD_BRANCH" \
  --jq '[.[] | select(.head.sha == env.HEAD_SHA)][0].number // empty')
if [ -z "$NUMBER" ]; then
  echo "no open pull request is at $HEAD_SHA: nothing to write"
  exit 0
fi
kept=$(mktemp -d "$RUNNER_TEMP/perfhunt-XXXXXX")
gh run download "$RUN" --repo "$REPOSITORY" --name "$ARTIFACT" --dir "$kept"
BODY="$kept/comment.md"
if [ -L "$BODY" ] || [ ! -f "$BODY" ]; then
  echo "the artifact holds no comment.md"
  exit 0
fi
# Whoever made the artifact may not call people here under our name.
sed 's/@/@<!-- -->/g' "$BODY" >"$kept/shown.md"
BODY="$kept/shown.md" NUMBER="$NUMBER" exec bash "${BASH_SOURCE[0]%/*}/post.sh"
