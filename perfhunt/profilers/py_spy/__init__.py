"""CPython through py-spy: on-CPU stacks, and every thread's stack at an instant."""
