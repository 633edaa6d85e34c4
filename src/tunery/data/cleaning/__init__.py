"""Cleaning steps. Each module is one: its settings, and what it does with rows."""
