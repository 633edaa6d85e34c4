"""Importing LLaMA-Factory's registry from the command line: a folder is read here, a ZIP by the server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunery.cli.output import note, say, table
from tunery.cli.reports import byte_progress
from tunery.core.errors import Problem
from tunery.data.llamafactory import FILE, plan, read_registry
from tunery.schemas.base import Schema
from tunery.schemas.dataset import Skipped
from tunery.sdk.client import Client


class EntryEnd(Schema):
    """What became of one entry."""

    dataset: str
    version: int | None
    rows: int
    problem: dict[str, Any] | None


class RegistryEnd(Schema):
    """What became of a registry."""

    imported: list[EntryEnd]
    skipped: list[Skipped]
    notes: list[Skipped]

    @property
    def whole(self) -> bool:
        """Whether every entry is a dataset now."""
        return not self.skipped and not any(entry.problem for entry in self.imported)


def import_registry(path: Path, only: Sequence[str], *, accept_bad_rows: bool, publish: bool) -> RegistryEnd:
    """Import every entry, and wait for all. Raises Problem for a registry that can't be read."""
    with Client() as client:
        if path.is_dir():
            return _folder(client, path, only, accept_bad_rows, publish)
        with byte_progress("sending") as progress:
            queued = client.datasets.import_registry(
                path, only=only, accept_bad_rows=accept_bad_rows, publish=publish, progress=progress
            )
        ends = [_end(client, made.name) for made in queued.datasets]
        return RegistryEnd(imported=ends, skipped=queued.skipped, notes=queued.notes)


def _folder(
    client: Client, folder: Path, only: Sequence[str], accept_bad_rows: bool, publish: bool
) -> RegistryEnd:
    registry = folder / FILE
    if not registry.is_file():
        raise Problem("file_missing", path=str(registry), base=str(Path.cwd()))

    def present(file: str) -> str | None:
        found = (folder / file).resolve()
        if not found.is_relative_to(folder.resolve()):
            return "its file is outside the folder"
        return None if found.is_file() else f"there is no file {file}"

    entries, skipped = plan(read_registry(registry.read_bytes(), str(registry)), only, present)
    ends: list[EntryEnd] = []
    for entry in entries:
        note(f"{entry.name}: {entry.file}")
        try:
            with byte_progress("sending") as progress:
                client.datasets.create(
                    folder / entry.file,
                    name=entry.dataset,
                    **entry.options.model_dump(),
                    accept_bad_rows=accept_bad_rows,
                    publish=publish,
                    progress=progress,
                )
        except Problem as problem:
            ends.append(EntryEnd(dataset=entry.dataset, version=None, rows=0, problem=problem.as_dict()))
        else:
            ends.append(_end(client, entry.dataset))
    notes = [Skipped(name=entry.name, reason=entry.note) for entry in entries if entry.note]
    return RegistryEnd(imported=ends, skipped=skipped, notes=notes)


def _end(client: Client, name: str) -> EntryEnd:
    try:
        version = client.datasets.wait(name)
    except Problem as problem:
        return EntryEnd(dataset=name, version=None, rows=0, problem=problem.as_dict())
    return EntryEnd(dataset=name, version=version.version, rows=version.rows, problem=None)


def show(found: RegistryEnd) -> None:
    """In words."""
    rows = [
        (end.dataset, end.version, f"{end.rows:,}", end.problem["message"] if end.problem else "")
        for end in found.imported
    ]
    if rows:
        table(["dataset", "version", "rows", "problem"], rows)
    for one in found.skipped:
        say(f"{one.name} is skipped: {one.reason}.")
    for one in found.notes:
        say(f"{one.name}: {one.reason}.")
