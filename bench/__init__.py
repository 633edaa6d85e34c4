"""Measurements of Tunery, each against what people use otherwise. `python -m bench.<name>`."""
