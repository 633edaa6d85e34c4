"""Kinds of places that rows are read from, each a module."""
