"""Data formats. Each module is one."""
