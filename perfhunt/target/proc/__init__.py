"""What the kernel says of a process, under /proc and /sys/fs/cgroup.

One way only, each may import those named before it: files, namespaces, sock_diag, held_socket,
process, threads, tree, sockets, syscalls, waits, cgroup.
"""
