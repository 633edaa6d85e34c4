"""Finds the engine's compiled libraries. It knows nothing of what they do."""

import ctypes
from pathlib import Path


def load_library(name: str) -> ctypes.CDLL | None:
    """The one that was built beside this file; None where none was, or for another machine."""
    path = Path(__file__).with_name(name)
    if not path.is_file():
        return None
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None  # built on another machine
