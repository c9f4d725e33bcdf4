"""Who is charged for the time of a request: what code did, and whom waiting threads waited for.

One way only, each may import those named before it: evidence, frames, idle; reconciled, raked,
snapshots; sites, wait_for, charge, cpu_use, reading; wall. The room `culprits` stands beside
`reading`: it imports nothing after snapshots.
"""
