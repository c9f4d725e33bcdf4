"""Programs and libraries as files: their parts, their functions, and what those are called.

One way only, each may import those named before it: rust_names; names; elf,
inlined, perf_map; panics; crates; tables, instances; linked_in.
"""
