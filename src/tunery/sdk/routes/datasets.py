"""Datasets: bring a file, look at versions and rows."""

import time
from pathlib import Path

from tunery.core.errors import Problem, Where
from tunery.schemas.dataset import Dataset, DatasetVersion, RowPage
from tunery.schemas.project import Page
from tunery.schemas.task import Task
from tunery.sdk.call import (
    Call,
    Flow,
    Pause,
    Resource,
    S,
    Sent,
    Upload,
    as_json,
    endpoint,
    flow,
    nothing,
    segment,
    send,
)

_DATASET = as_json(Dataset)
_DATASETS = as_json(Page[Dataset])
_VERSION = as_json(DatasetVersion)
_VERSIONS = as_json(list[DatasetVersion])
_ROWS = as_json(RowPage)
_TASK = as_json(Task)


def create(
    path: str | Path,
    *,
    name: str,
    format: str | None = None,
    accept_bad_rows: bool = False,
    publish: bool = True,
    progress: Sent | None = None,
) -> Call[Dataset]:
    """Send a file to become a dataset, or the next version of one. `wait` follows the import.

    Raises Problem `file_missing` before anything is sent.
    """
    file = Path(path)
    if not file.is_file():
        raise Problem("file_missing", path=str(path), base=str(Path.cwd()), where=Where(file=str(path)))
    form = {
        "name": name,
        "accept_bad_rows": str(accept_bad_rows).lower(),
        "publish": str(publish).lower(),
    }
    if format is not None:
        form["format"] = format
    return Call("POST", "/api/v1/datasets", _DATASET, form=form, upload=Upload(file, progress))


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


def quarantine(dataset: str, number: int) -> Call[bytes]:
    """The rows that weren't accepted, with the reasons, as JSON lines."""
    return Call("GET", f"/api/v1/datasets/{segment(dataset)}/versions/{number}/quarantine", bytes)


def publish(dataset: str, number: int) -> Call[DatasetVersion]:
    """Make a draft immutable, so that runs may train on it."""
    return Call("POST", f"/api/v1/datasets/{segment(dataset)}/versions/{number}/publish", _VERSION)


def delete(dataset: str) -> Call[None]:
    """Delete a dataset with its versions; refused while a model depends on it."""
    return Call("DELETE", f"/api/v1/datasets/{segment(dataset)}", nothing)


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

    create = endpoint(create)
    list = endpoint(list_)
    get = endpoint(get)
    versions = endpoint(versions)
    version = endpoint(version)
    rows = endpoint(rows)
    quarantine = endpoint(quarantine)
    publish = endpoint(publish)
    delete = endpoint(delete)
    wait = flow(wait)
