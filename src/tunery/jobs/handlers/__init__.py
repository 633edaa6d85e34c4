"""What each kind of task does. Each module is one."""
