"""Dataset, its versions, and the report of every bad row."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from tunery.schemas.base import Microseconds, Name, Schema
from tunery.schemas.check import AS_ALL, CheckReport, RowKind, RowProblem
from tunery.schemas.cleaning import CleaningReport
from tunery.schemas.file_options import FileOptions, TurnName


def _describe_what_is_inherited(schema: dict[str, Any]) -> None:
    """pydantic reads the docstrings of a dataclass's own fields only."""
    for name, field in TypeAdapter(RowProblem).json_schema()["properties"].items():
        if "description" in field:
            schema["properties"][name].setdefault("description", field["description"])


@dataclass
class HeldRow(RowProblem):
    """A bad row with its text, as the quarantine file has it, and its fixed text."""

    __pydantic_config__ = {**AS_ALL, "json_schema_extra": _describe_what_is_inherited}

    text: str
    as_json: str | None = None
    """The row as JSON, where its file has no JSON and the row has named fields."""
    fixed: str | None = None
    """Its new text, which the next import reads."""


class QuarantinePage(Schema):
    """Some bad rows of an import, from `offset`."""

    rows: list[HeldRow]
    offset: int
    total: int


class ImportOptions(FileOptions):
    """How a file is to be imported."""

    accept_bad_rows: bool = False
    """Import the usable rows even if some rows are bad."""
    publish: bool = True
    """Publish the version when its import succeeds."""


class ImportRequest(ImportOptions):
    """Import a file that was uploaded."""

    name: Name
    """The dataset's name; an existing dataset gets a new version."""
    as_before: bool = False
    """Take format, columns and turns that aren't set here from the dataset's newest version."""


class RowFix(Schema):
    """A bad row, fixed: a quarantined row's file and number with its new text."""

    file: str
    row: int
    text: str
    """The row as JSON."""


class StillBad(Schema):
    """Why a fixed row still can't be used."""

    file: str
    row: int
    field: str | None
    rule: str
    fix: str


class FixRequest(Schema):
    """Keep fixed rows for the next import of the file."""

    fixes: list[RowFix]


class Fixed(Schema):
    """Which fixed rows were kept."""

    kept: int
    waiting: int
    """Fixed rows that the next import will read for the first time."""
    problems: list[StillBad]
    """Rows that were not kept."""


class ImportAgain(Schema):
    """Read the file of an import again. What isn't set stays as it was."""

    format: str | None = None
    """Empty = detect it from the content."""
    columns: dict[str, str] | None = None
    turns: dict[TurnName, str] | None = None
    only_named: bool | None = None
    salvage: bool | None = None
    accept_bad_rows: bool | None = None
    publish: bool | None = None
    fixes: list[RowFix] = []
    """Rows to be read instead of the file's own; those fixed before stay so."""


class Upload(Schema):
    """A file on its way in. It is sent as tus 1.0 says, and is whole when `offset` = `bytes`."""

    id: str
    filename: str
    fingerprint: str | None
    bytes: int
    offset: int
    """Bytes received so far, safe on the disk."""
    sha256: str | None
    created: Microseconds
    expires: Microseconds


class DatasetVersion(Schema):
    """An immutable (once published) list of rows, addressed by the hash of its content."""

    dataset: str
    version: int
    state: Literal["importing", "draft", "published", "failed", "deleted"]
    """Of a deleted version only its number and its hash are left."""
    content_hash: str | None
    rows: int
    characters: int
    bytes: int
    format: str
    row_kind: RowKind | None
    report: CheckReport | None
    error: dict[str, Any] | None = None
    options: ImportOptions | None = None
    """How it was imported."""
    filename: str | None = None
    kept_until: Microseconds | None = None
    """Until then the file is kept, so that it can be imported again without uploading it."""
    source: dict[str, Any] | None = None
    """The connection it was read from, with path, count, size and fingerprint of the files."""
    cleaning: CleaningReport | None = None
    """The version it was cleaned from, and what each step did."""
    created: Microseconds
    published: Microseconds | None


class Dataset(Schema):
    """A named line of versions with one format."""

    id: str
    name: str
    format: str
    created: Microseconds
    latest: DatasetVersion | None
    task: str | None = None
    """The task that imports the newest version, while it goes on."""


class Skipped(Schema):
    """An entry of a foreign registry that can't be imported, or a part of it that is ignored."""

    name: str
    reason: str


class RegistryImport(Schema):
    """Import the entries of a LLaMA-Factory `dataset_info.json` in an uploaded ZIP."""

    only: list[str] = []
    """Names of entries; none = all."""
    accept_bad_rows: bool = False
    publish: bool = True


class RegistryImported(Schema):
    """What became of the entries of a registry."""

    datasets: list[Dataset]
    skipped: list[Skipped]
    notes: list[Skipped]
    """What of an imported entry has no effect here."""


class RowPage(Schema):
    """Some rows of a version in canonical form, from `offset`."""

    rows: list[dict[str, Any]]
    offset: int
    total: int
