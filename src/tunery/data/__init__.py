"""Rows in, token sequences out."""
