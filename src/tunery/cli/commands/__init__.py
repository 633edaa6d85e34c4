"""Commands. Each module is one."""
