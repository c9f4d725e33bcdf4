"""What a process is and what it uses, seen from outside: found, identified, watched, started and
ended.

One way only, each may import those named before it: proc; binary; code; runtime, process;
listeners, selection, find, address; resources; host; leash, launch, command_timer.
"""
