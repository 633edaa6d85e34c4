"""Ready-made datasets: which are offered, and one of them as a dataset of the project.

Two catalogues of one form are read: Tunery's own and the administrator's. Where both have a name, theirs counts.
"""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import yaml
from pydantic import ValidationError

from tunery.core.errors import Problem
from tunery.schemas.dataset import Dataset, ImportOptions
from tunery.schemas.preset_data import PresetCatalogue, PresetDataset, PresetEntry, PresetImport
from tunery.schemas.words import said
from tunery.services.context import Context
from tunery.services.imports import queue_import
from tunery.starter import presets as shipped

CATALOGUE = "presets.yaml"
_LIST = "tunery data presets"
_DESCRIBES = {"name", "title", "description", "licence", "file", "made_by"}


class _Offer(NamedTuple):
    entry: PresetEntry
    folder: Path | None
    """Of the administrator's catalogue."""


def list_presets(ctx: Context) -> list[PresetDataset]:
    """What is offered, the administrator's first. Raises Problem `presets_unusable`."""
    return [
        PresetDataset(
            name=entry.name,
            title=entry.title or entry.name,
            description=entry.description,
            licence=entry.licence,
            shipped=folder is None,
        )
        for entry, folder in _offers(ctx).values()
    ]


def import_preset(ctx: Context, preset: str, wanted: PresetImport) -> Dataset:
    """Queue the import of one. Raises Problem `not_found`, `presets_unusable`, `file_missing`."""
    offers = _offers(ctx)
    if preset not in offers:
        raise Problem("not_found", noun="ready-made dataset", name=preset, list=_LIST)
    entry, folder = offers[preset]
    filename, place = _generated(entry) if folder is None else _copied(entry, folder)
    options = ImportOptions(
        **entry.model_dump(exclude=_DESCRIBES),
        accept_bad_rows=wanted.accept_bad_rows,
        publish=wanted.publish,
    )
    return queue_import(ctx, wanted.name or entry.name, filename, options, None, place)


def _offers(ctx: Context) -> dict[str, _Offer]:
    """By name."""
    offers: dict[str, _Offer] = {}
    if ctx.settings.preset_data:
        folder = Path(ctx.settings.preset_data).expanduser().resolve()
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
