"""Git: `repository` is the one place of the package that runs it on a repository of the user's.

`worktree` checks revisions out and takes them away, `split` cuts an edit into patches (`patches`
writes them), `bisect` halves a history. None imports another, but for `repository`, which all may,
and `patches`, which `split` does.
"""
