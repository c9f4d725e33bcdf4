"""What a target's process tree uses: CPU, memory, connections, queues."""
