"""Packages that a process does without, where importing them takes long and others import whatever is installed."""

import sys

BITS = "bitsandbytes"
"""What keeps models in fewer bits; PEFT imports it wherever it is, which takes a second and a half."""


def spare(package: str) -> None:
    """From now on the package counts as not installed here; one that is imported already stays."""
    sys.modules.setdefault(package, None)  # pyright: ignore[reportArgumentType]
