"""Checkpoints: written aside, made durable, sealed by a manifest of hashes, then renamed into place.

So a folder called step-… is whole or damaged later by someone else, and the hashes tell which. Resume takes
the newest that verifies and moves damaged ones out of the way. Everything is safetensors or JSON. It doesn't
know what is trained: it is handed tensors and a function that writes the model.
"""

import hashlib
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from safetensors.torch import load_file, save_file

from tunery.core.attempt import AttemptFolder
from tunery.core.files import fsync_folder, read_json, sha256_file

MANIFEST = "manifest.json"
STATE = "state.json"
OPTIMIZER = "optimizer.safetensors"
RANDOM = "random.safetensors"
REFERENCE = "reference.safetensors"
_ASIDE = ".writing-"
_QUARANTINE = "quarantine-"


@dataclass(frozen=True)
class Saved:
    """A sealed checkpoint."""

    path: Path
    step: int
    bytes: int
    hash: str


def save(
    folder: AttemptFolder,
    step: int,
    *,
    write_model: Callable[[Path], None],
    optimizer: dict[str, torch.Tensor],
    state: dict[str, Any],
    limit: int,
    best: int | None = None,
    reference: dict[str, torch.Tensor] | None = None,
) -> Saved:
    """Keep everything needed to go on from `step`; only the newest `limit` checkpoints stay, and that of step `best`.

    `reference` is what the untrained model said, so that it need not be asked again.
    """
    final = folder.checkpoint(step)
    aside = folder.checkpoints / f"{_ASIDE}{final.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        write_model(aside)
        save_file(optimizer, aside / OPTIMIZER)
        save_file({"torch": torch.get_rng_state()}, aside / RANDOM)
        if reference:
            save_file(reference, aside / REFERENCE)
        (aside / STATE).write_bytes(orjson.dumps({**state, "step": step, "random": _random_state()}))
        digest, size = _seal(aside, step)
        if final.exists():
            shutil.rmtree(final)
        os.rename(aside, final)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    fsync_folder(folder.checkpoints)
    for old in _folders(folder.checkpoints)[:-limit]:
        if best is None or old != folder.checkpoint(best):
            shutil.rmtree(old)
    return Saved(final, step, size, digest)


def newest(candidates: Sequence[Path], report: Callable[[str], None]) -> Saved | None:
    """The candidate with the highest step that verifies; damaged ones are renamed and reported."""
    for path in sorted((path for path in candidates if path.is_dir()), key=lambda p: p.name, reverse=True):
        try:
            return verify(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            aside = path.with_name(f"{_QUARANTINE}{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(path, aside)
            report(f"The checkpoint {path.name} is damaged ({error}); it was set aside as {aside.name}.")
    return None


def verify(path: Path) -> Saved:
    """Check every file against the manifest. Raises OSError or ValueError saying what is wrong."""
    manifest: dict[str, Any] = read_json(path / MANIFEST)
    for name, entry in manifest["files"].items():
        if (path / name).stat().st_size != entry["bytes"] or sha256_file(path / name) != entry["sha256"]:
            raise ValueError(f"{name} differs from what was written")
    size = sum(entry["bytes"] for entry in manifest["files"].values())
    return Saved(path, int(manifest["step"]), size, sha256_file(path / MANIFEST))


def load_optimizer(path: Path) -> dict[str, torch.Tensor]:
    """AdamW's memory."""
    return load_file(path / OPTIMIZER)


def load_reference(path: Path) -> dict[str, torch.Tensor]:
    """What was given as `reference`; empty where there was none."""
    return load_file(path / REFERENCE) if (path / REFERENCE).exists() else {}


def load_state(path: Path) -> dict[str, Any]:
    """What was given as `state`, and the random states."""
    return read_json(path / STATE)


def restore_random(path: Path, state: dict[str, Any]) -> None:
    """Put every library's random numbers back to where they were; the last thing before going on."""
    torch.set_rng_state(load_file(path / RANDOM)["torch"])
    kind, words, position = state["random"]["python"]
    random.setstate((kind, tuple(words), position))
    name, keys, at, has_gauss, gauss = state["random"]["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), at, has_gauss, gauss))


def publish_folder(final: Path, write: Callable[[Path], None]) -> None:
    """Write a folder so that it is whole or absent."""
    aside = final.with_name(f"{_ASIDE}{final.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        write(aside)
        _make_durable(aside)
        shutil.rmtree(final, ignore_errors=True)
        os.rename(aside, final)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    fsync_folder(final.parent)


def _random_state() -> dict[str, Any]:
    kind, words, gauss = random.getstate()
    name, keys, at, has_gauss, cached = np.random.get_state()
    return {
        "python": [kind, list(words), gauss],
        "numpy": [name, np.asarray(keys).tolist(), int(at), int(has_gauss), float(cached)],
    }


def _seal(folder: Path, step: int) -> tuple[str, int]:
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.iterdir())
    }
    content = orjson.dumps({"v": 1, "step": step, "files": files}, option=orjson.OPT_INDENT_2)
    _make_durable(folder)
    (folder / MANIFEST).write_bytes(content)
    _make_durable(folder)
    return hashlib.sha256(content).hexdigest(), sum(int(entry["bytes"]) for entry in files.values())


def _make_durable(folder: Path) -> None:
    for path in folder.iterdir():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    fsync_folder(folder)


def _folders(checkpoints: Path) -> list[Path]:
    """Sealed checkpoints, oldest first."""
    return sorted(checkpoints.glob("step-*"))
