"""What the kernel says of a process, under /proc and /sys/fs/cgroup."""
