"""Measures of a model's answers. Each module is one."""
