"""Git: `program` is the one place of the package that starts it, with no configuration but ours.

One way only, each may import those named before it: program, places, own_directory (through which a
repository is seen); repository; filtered, working_tree (the tree of what stands there now);
worktree (checkouts), patches, split (an edit cut into patches); kept (the state of a measured
service's code), bisect (a history halved), create (a new repository).
"""
