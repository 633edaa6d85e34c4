"""Ready-made datasets: which are offered, and one of them as a dataset of the project.

Two catalogues of one form are read: Tunery's own and the administrator's. Where both have a name, theirs counts.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import mkstemp
from typing import NamedTuple

import yaml
from pydantic import ValidationError

from tunery.core.errors import Problem
from tunery.core.files import is_disk_full
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.schemas.dataset import Dataset, ImportOptions
from tunery.schemas.preset_data import PresetCatalogue, PresetDataset, PresetEntry, PresetImport
from tunery.schemas.words import said
from tunery.services.context import Context
from tunery.services.imports import import_file
from tunery.starter import presets as shipped

CATALOGUE = "presets.yaml"
_LIST = "tunery data presets"
_DESCRIBES = {"name", "title", "description", "licence", "file", "made_by"}


class _Offer(NamedTuple):
    entry: PresetEntry
    folder: Path | None
    """Of the administrator's catalogue."""


class Taken(NamedTuple):
    """A preset, and its file for an import to take over."""

    entry: PresetEntry
    filename: str
    file: Path


def list_presets(settings: ServerSettings) -> list[PresetDataset]:
    """What is offered, the administrator's first. Raises Problem `presets_unusable`."""
    return [
        PresetDataset(
            name=entry.name,
            title=entry.title or entry.name,
            description=entry.description,
            licence=entry.licence,
            shipped=folder is None,
        )
        for entry, folder in _offers(settings).values()
    ]


@contextmanager
def taken(settings: ServerSettings, preset: str) -> Iterator[Taken]:
    """A preset with its file, which takes seconds: no transaction is to be open meanwhile. What no import took over is
    gone afterwards.

    Raises Problem `not_found`, `presets_unusable`, `file_missing`, `disk_full`.
    """
    offers = _offers(settings)
    if preset not in offers:
        raise Problem("not_found", noun="ready-made dataset", name=preset, list=_LIST)
    entry, folder = offers[preset]
    filename, place = _generated(entry) if folder is None else _copied(entry, folder)
    uploads = DataFolder(settings.folder).uploads
    handle, made = mkstemp(prefix="upload_", dir=uploads)
    os.close(handle)
    file = Path(made)
    try:
        place(file)
        yield Taken(entry, filename, file)
    except OSError as error:
        if is_disk_full(error):
            raise Problem("disk_full", path=str(uploads)) from error
        raise
    finally:
        file.unlink(missing_ok=True)


def import_preset(ctx: Context, preset: Taken, wanted: PresetImport) -> Dataset:
    """Queue the import of one."""
    entry = preset.entry
    options = ImportOptions(
        **entry.model_dump(exclude=_DESCRIBES),
        accept_bad_rows=wanted.accept_bad_rows,
        publish=wanted.publish,
    )
    name = wanted.name or entry.name
    return import_file(ctx, name=name, source=preset.file, filename=preset.filename, options=options)


def _offers(settings: ServerSettings) -> dict[str, _Offer]:
    """By name."""
    offers: dict[str, _Offer] = {}
    if settings.preset_data:
        folder = Path(settings.preset_data).expanduser().resolve()
        offers |= {entry.name: _Offer(entry, folder) for entry in _entries(folder / CATALOGUE)}
    for entry in _entries(shipped.CATALOGUE):
        offers.setdefault(entry.name, _Offer(entry, None))
    return offers


def _entries(catalogue: Path) -> list[PresetEntry]:
    try:
        written = yaml.safe_load(catalogue.read_text(encoding="utf-8"))
        return PresetCatalogue.model_validate(written).presets
    except FileNotFoundError as error:
        raise Problem("presets_unusable", path=str(catalogue), detail="there is no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())[:200]
        raise Problem("presets_unusable", path=str(catalogue), detail=detail) from error
    except ValidationError as error:
        raise Problem("presets_unusable", path=str(catalogue), detail="; ".join(_wrong(error))) from error


def _wrong(error: ValidationError) -> Iterator[str]:
    for one in error.errors()[:3]:
        yield f"{'.'.join(map(str, one['loc']))}: {said(one)}"


def _generated(entry: PresetEntry) -> tuple[str, Callable[[Path], object]]:
    maker = entry.made_by
    assert maker in shipped.GENERATORS, "a shipped entry names its generator"
    return f"{entry.name}.jsonl", partial(shipped.write, maker)


def _copied(entry: PresetEntry, folder: Path) -> tuple[str, Callable[[Path], object]]:
    """A copy, because an import takes its file away. Only what lies in the catalogue's folder is read."""
    path = PurePosixPath(entry.file or "")
    if path.is_absolute() or ".." in path.parts or not path.parts:
        detail = f"{entry.name}: its file has to lie in the folder of the catalogue"
        raise Problem("presets_unusable", path=str(folder / CATALOGUE), detail=detail)
    source = folder / path
    if not source.is_file():
        raise Problem("file_missing", path=str(source), base=str(folder))
    return source.name, partial(shutil.copyfile, source)
