"""What must hold before and while load is sent: guard, lock, killswitch, watchdog."""
