"""Ways to start a command on an attempt folder. Each module is one."""
