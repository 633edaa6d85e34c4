"""Datasets: bring a file, look at versions and rows."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from tunery.core.errors import Problem, Where
from tunery.schemas.cleaning import CleaningStep, CleanRequest
from tunery.schemas.dataset import (
    Dataset,
    DatasetVersion,
    Fixed,
    FixRequest,
    ImportAgain,
    ImportRequest,
    QuarantinePage,
    RegistryImport,
    RegistryImported,
    RowFix,
    RowPage,
)
from tunery.schemas.file_options import TurnName
from tunery.schemas.project import Page
from tunery.schemas.task import Task
from tunery.schemas.words import said
from tunery.sdk.call import (
    Call,
    Flow,
    Pause,
    Resource,
    S,
    Sent,
    as_json,
    endpoint,
    flow,
    nothing,
    segment,
    send,
)
from tunery.sdk.routes import dataset_insight as insight
from tunery.sdk.routes import preset_data
from tunery.sdk.routes.server import formats
from tunery.sdk.routes.uploads import PASSING, PATIENCE, WAIT, import_upload, send_file
from tunery.sdk.routes.uploads import import_registry as import_registry_upload

_DATASET = as_json(Dataset)
_DATASETS = as_json(Page[Dataset])
_VERSION = as_json(DatasetVersion)
_VERSIONS = as_json(list[DatasetVersion])
_ROWS = as_json(RowPage)
_FIXED = as_json(Fixed)
_QUARANTINE = as_json(QuarantinePage)
_TASK = as_json(Task)


def create(
    path: str | Path,
    *,
    name: str,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    turns: Mapping[TurnName, str] | None = None,
    only_named: bool = False,
    as_before: bool = False,
    salvage: bool = False,
    member: str | None = None,
    accept_bad_rows: bool = False,
    publish: bool = True,
    checksum: bool = False,
    progress: Sent | None = None,
) -> Flow[Dataset]:
    """Send a file to become a dataset, or the next version of one. `wait` follows the import.

    Sent again after an interruption, it goes on where it was. `columns`: which column of the file is read as which
    field, and with `only_named` no others; `turns`: how it spells its turns; `as_before`: all that, and the format,
    as in the newest version. `member`: one file of a ZIP. `checksum`: have the server compare the file's SHA-256.
    Raises Problem `file_missing`, `invalid_request`, `unknown_extension` before anything is sent.
    """
    request = _checked(
        name=name,
        format=format,
        columns=dict(columns or {}),
        turns=dict(turns or {}),
        only_named=only_named,
        as_before=as_before,
        salvage=salvage,
        member=member,
        accept_bad_rows=accept_bad_rows,
        publish=publish,
    )
    if format is not None:
        known = [info.name for info in (yield from send(formats()))]
        if format not in known:
            raise Problem("unknown_extension", noun="data format", name=format, known=", ".join(known))
    sent = yield from send_file(path, checksum=checksum, progress=progress)
    return (yield from _import(sent.id, request))


def _checked(**fields: Any) -> ImportRequest:
    """The request, before anything is sent. Raises Problem `invalid_request`."""
    try:
        return ImportRequest(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        detail = f"{name}: {said(first)}."
        raise Problem("invalid_request", where=Where(field=name), detail=detail) from error


def _import(upload: str, request: ImportRequest) -> Flow[Dataset]:
    """Ask for the import until an answer comes; an upload that is gone when it is asked again was imported."""
    end = time.monotonic() + PATIENCE
    again = False
    while True:
        try:
            return (yield from send(import_upload(upload, request)))
        except Problem as problem:
            if again and problem.code == "not_found":
                return (yield from send(get(request.name)))
            if problem.code not in PASSING or time.monotonic() > end:
                raise
        again = True
        yield Pause(WAIT)


def import_registry(
    path: str | Path,
    *,
    only: Sequence[str] = (),
    accept_bad_rows: bool = False,
    publish: bool = True,
    progress: Sent | None = None,
) -> Flow[RegistryImported]:
    """Send a ZIP with a LLaMA-Factory `dataset_info.json` and its files; each entry becomes a dataset."""
    request = RegistryImport(only=list(only), accept_bad_rows=accept_bad_rows, publish=publish)
    sent = yield from send_file(path, progress=progress)
    return (yield from send(import_registry_upload(sent.id, request)))


def import_again(
    dataset: str,
    number: int | None = None,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    turns: Mapping[TurnName, str] | None = None,
    only_named: bool | None = None,
    salvage: bool | None = None,
    accept_bad_rows: bool | None = None,
    publish: bool | None = None,
    fixes: Sequence[RowFix] = (),
) -> Flow[Dataset]:
    """Read the kept file of a version (the newest otherwise) once more; what isn't named stays as it was.

    A failed import is done anew; from any other version the next one is made. Raises Problem `source_gone`.
    """
    wanted = ImportAgain(
        format=format,
        columns=None if columns is None else dict(columns),
        turns=None if turns is None else dict(turns),
        only_named=only_named,
        salvage=salvage,
        accept_bad_rows=accept_bad_rows,
        publish=publish,
        fixes=list(fixes),
    )
    if number is None:
        number = yield from _newest(dataset)
    path = f"/api/v1/datasets/{segment(dataset)}/versions/{number}/import"
    return (yield from send(Call("POST", path, _DATASET, body=wanted.model_dump(exclude_none=True))))


def accept(dataset: str, number: int | None = None) -> Flow[Dataset]:
    """Import again without the rejected rows, from the file already uploaded."""
    return (yield from import_again(dataset, number, accept_bad_rows=True))


def fix(dataset: str, path: str | Path, number: int | None = None, **more: Any) -> Flow[Dataset]:
    """Import again with a quarantine file in which rows' `text` was fixed. Raises Problem `file_unreadable`."""
    return (yield from import_again(dataset, number, fixes=read_fixes(Path(path)), **more))


def keep_fixes(dataset: str, number: int, fixes: Sequence[RowFix]) -> Call[Fixed]:
    """Try fixed rows; those that can be used now are kept for the next import of the file."""
    path = f"/api/v1/datasets/{segment(dataset)}/versions/{number}/fixes"
    return Call("POST", path, _FIXED, body=FixRequest(fixes=list(fixes)).model_dump())


def read_fixes(path: Path) -> list[RowFix]:
    """The rows of a fixed quarantine file. Raises Problem `file_missing`, `file_unreadable`."""
    if not path.is_file():
        raise Problem("file_missing", path=str(path), base=str(Path.cwd()))
    fixes: list[RowFix] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                row = orjson.loads(line)
                fixes.append(RowFix(file=row["file"], row=row["row"], text=row["text"]))
            except (orjson.JSONDecodeError, TypeError, KeyError, ValidationError) as error:
                detail = "a line isn't one of a quarantine file: JSON with file, row and text"
                where = Where(file=str(path), line=number)
                raise Problem(
                    "file_unreadable", where=where, path=f"{path}:{number}", detail=detail
                ) from error
    return fixes


def _newest(dataset: str) -> Flow[int]:
    found = yield from send(get(dataset))
    if found.latest is None:
        raise Problem("not_found", noun="version of", name=dataset, list="tunery data list")
    return found.latest.version


def list_(limit: int = 20, after: str | None = None) -> Call[Page[Dataset]]:
    """Datasets, newest first."""
    return Call("GET", "/api/v1/datasets", _DATASETS, query={"limit": limit, "after": after})


def get(dataset: str) -> Call[Dataset]:
    """One dataset by name or id."""
    return Call("GET", f"/api/v1/datasets/{segment(dataset)}", _DATASET)


def versions(dataset: str) -> Call[list[DatasetVersion]]:
    """Every version of a dataset."""
    return Call("GET", f"/api/v1/datasets/{segment(dataset)}/versions", _VERSIONS)


def version(dataset: str, number: int) -> Call[DatasetVersion]:
    """One version."""
    return Call("GET", f"/api/v1/datasets/{segment(dataset)}/versions/{number}", _VERSION)


def rows(dataset: str, number: int, offset: int = 0, limit: int = 20) -> Call[RowPage]:
    """Rows of a version in canonical form."""
    path = f"/api/v1/datasets/{segment(dataset)}/versions/{number}/rows"
    return Call("GET", path, _ROWS, query={"offset": offset, "limit": limit})


def image(dataset: str, number: int, digest: str) -> Call[bytes]:
    """An image that rows of a version show; `digest` as the row's image part names it."""
    path = f"/api/v1/datasets/{segment(dataset)}/versions/{number}/images/{segment(digest)}"
    return Call("GET", path, bytes)


def quarantine(dataset: str, number: int) -> Call[bytes]:
    """The rows that weren't accepted, with the reasons, as JSON lines."""
    return Call("GET", f"/api/v1/datasets/{segment(dataset)}/versions/{number}/quarantine", bytes)


def quarantine_rows(
    dataset: str, number: int, offset: int = 0, limit: int = 20, rule: str | None = None
) -> Call[QuarantinePage]:
    """Some of those rows, perhaps only the ones that break one rule."""
    path = f"/api/v1/datasets/{segment(dataset)}/versions/{number}/quarantine/rows"
    return Call("GET", path, _QUARANTINE, query={"offset": offset, "limit": limit, "rule": rule})


def publish(dataset: str, number: int) -> Call[DatasetVersion]:
    """Make a draft immutable, so that runs may train on it."""
    return Call("POST", f"/api/v1/datasets/{segment(dataset)}/versions/{number}/publish", _VERSION)


def delete(dataset: str) -> Call[None]:
    """Delete a dataset with its versions; refused while a model depends on it."""
    return Call("DELETE", f"/api/v1/datasets/{segment(dataset)}", nothing)


def clean(
    dataset: str,
    steps: Sequence[CleaningStep | str | Mapping[str, Any]],
    *,
    version: int | None = None,
    name: str | None = None,
    publish: bool = False,
) -> Call[Dataset]:
    """Make a new version by cleaning steps, one after the other; `wait` follows it.

    A step is a name, or `{name: {setting: value}}`. Raises Problem `spec_invalid` before anything is sent.
    """
    fields = {"steps": list(steps), "version": version, "name": name, "publish": publish}
    try:
        request = CleanRequest.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Problem("spec_invalid", where=Where(field=place), detail=f"{place}: {first['msg']}.") from error
    return Call(
        "POST",
        f"/api/v1/datasets/{segment(dataset)}/clean",
        _DATASET,
        body=request.model_dump(mode="json", exclude_none=True),
    )


def wait(dataset: str, *, timeout: float | None = None, poll: float = 0.3) -> Flow[DatasetVersion]:
    """Wait for the import of the newest version and return it.

    Raises the Problem the import failed with, or TimeoutError.
    """
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        found = yield from send(get(dataset))
        latest = found.latest
        if latest is not None and latest.state == "failed" and latest.error:
            raise Problem.from_dict(latest.error)
        if latest is not None and latest.state in ("draft", "published") and found.task is None:
            return latest
        if found.task is not None:
            task = yield from send(Call("GET", f"/api/v1/tasks/{segment(found.task)}", _TASK))
            if task.state in ("failed", "cancelled") and task.reason:
                raise Problem.from_dict(task.reason)
        if end is not None and time.monotonic() > end:
            raise TimeoutError(f"the import of {dataset} goes on after {timeout} s")
        yield Pause(poll)


class Datasets(Resource[S]):
    """Datasets and their versions."""

    create = flow(create)
    import_registry = flow(import_registry)
    presets = endpoint(preset_data.presets)
    import_preset = endpoint(preset_data.import_preset)
    import_again = flow(import_again)
    accept = flow(accept)
    keep_fixes = endpoint(keep_fixes)
    fix = flow(fix)
    list = endpoint(list_)
    get = endpoint(get)
    versions = endpoint(versions)
    version = endpoint(version)
    rows = endpoint(rows)
    image = endpoint(image)
    quarantine = endpoint(quarantine)
    quarantine_rows = endpoint(quarantine_rows)
    publish = endpoint(publish)
    delete = endpoint(delete)
    clean = endpoint(clean)
    wait = flow(wait)
    search = endpoint(insight.search)
    seen = endpoint(insight.seen)
    statistics = flow(insight.statistics)
    compare = flow(insight.compare)
    changes = endpoint(insight.changes)
    delete_version = endpoint(insight.delete_version)
    collect_garbage = flow(insight.collect_garbage)
