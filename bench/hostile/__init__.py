"""Hostile files against the check of data: `python -m bench.hostile`."""
