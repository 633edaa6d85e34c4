"""Findings that a diagnosis can come to, each a module."""
