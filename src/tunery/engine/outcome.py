"""Turns whatever ended the engine's work into a Problem that a person can act on. Knows no torch."""

from pathlib import Path

from tunery.core.errors import Problem
from tunery.core.storage import storage_problem

_NO_MEMORY = ("can't allocate memory", "DefaultCPUAllocator", "out of memory", "std::bad_alloc")


def as_problem(error: BaseException, step: int, folder: Path) -> Problem:
    """The Problem that an exception stands for; the log has the exception itself."""
    if isinstance(error, Problem):
        return error
    text = str(error)
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return Problem("out_of_memory", step=step)
    if (refused := storage_problem(error, folder)) is not None:
        return refused
    if "No space left on device" in text:
        return Problem("disk_full", path=str(folder))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return Problem("missing_extra", package=error.name, extra="train")
    first_line = text.strip().splitlines()[0] if text.strip() else ""
    return Problem("engine_failed", detail=f"{type(error).__name__}: {first_line}"[:400].rstrip(": "))
