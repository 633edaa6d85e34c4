"""What is in a dataset's version: rows searched and as a model sees them, statistics, differences; and deletion."""

from typing import Any, Literal

from tunery.schemas.dataset import DatasetVersion
from tunery.schemas.statistics import (
    ChangeKind,
    ChangePage,
    Comparison,
    ComparisonRequest,
    FoundRows,
    Seen,
    Statistics,
    StatisticsRequest,
)
from tunery.schemas.task import Task
from tunery.sdk.call import Call, Flow, as_json, segment, send
from tunery.sdk.finish import finish_task

_FOUND = as_json(FoundRows)
_SEEN = as_json(Seen)
_STATISTICS = as_json(Statistics)
_COMPARISON = as_json(Comparison)
_CHANGES = as_json(ChangePage)
_VERSION = as_json(DatasetVersion)
_TASK = as_json(Task)


def search(
    dataset: str,
    number: int,
    text: str = "",
    *,
    role: Literal["system", "user", "assistant", "tool"] | None = None,
    min_characters: int | None = None,
    max_characters: int | None = None,
    min_tokens: int | None = None,
    max_tokens: int | None = None,
    language: str | None = None,
    having: Literal["duplicates", "empty", "short_answers", "refused"] | None = None,
    base_model: str | None = None,
    offset: int = 0,
    limit: int = 20,
) -> Call[FoundRows]:
    """Rows that match all criteria. Tokens, language and `having` need the version's statistics."""
    query: dict[str, Any] = {
        "text": text,
        "role": role,
        "min_characters": min_characters,
        "max_characters": max_characters,
        "min_tokens": min_tokens,
        "max_tokens": max_tokens,
        "language": language,
        "having": having,
        "base_model": base_model,
        "offset": offset,
        "limit": limit,
    }
    return Call("GET", f"{_version(dataset, number)}/search", _FOUND, query=query)


def seen(
    dataset: str,
    number: int,
    *,
    base_model: str,
    method: str | None = None,
    max_sequence_length: int | None = None,
    offset: int = 0,
    limit: int = 5,
) -> Call[Seen]:
    """Rows as the model sees them in training: chat template applied, what is trained on, what is cut off."""
    query: dict[str, Any] = {
        "base_model": base_model,
        "method": method,
        "max_sequence_length": max_sequence_length,
        "offset": offset,
        "limit": limit,
    }
    return Call("GET", f"{_version(dataset, number)}/seen", _SEEN, query=query)


def statistics(
    dataset: str,
    number: int,
    *,
    base_model: str | None = None,
    length: int | None = None,
    timeout: float | None = None,
    poll: float = 0.3,
) -> Flow[Statistics]:
    """Have a version measured, if nobody did before, and wait for the outcome.

    `length` also tells how many rows are longer than so many tokens of `base_model`. Raises the Problem that it
    failed with, or TimeoutError.
    """
    path = f"{_version(dataset, number)}/statistics"
    body = StatisticsRequest(base_model=base_model).model_dump(mode="json")
    asked = yield from send(Call("POST", path, _STATISTICS, body=body))
    yield from finish_task(asked.task, timeout, poll)
    query = {"base_model": base_model, "length": length}
    return (yield from send(Call("GET", path, _STATISTICS, query=query)))


def compare(
    dataset: str, old: int, new: int, *, timeout: float | None = None, poll: float = 0.3
) -> Flow[Comparison]:
    """Have two versions compared row by row, if nobody did before, and wait for the outcome.

    Raises the Problem that it failed with, or TimeoutError.
    """
    path = f"/api/v1/datasets/{segment(dataset)}/comparisons"
    body = ComparisonRequest(old=old, new=new).model_dump(mode="json")
    asked = yield from send(Call("POST", path, _COMPARISON, body=body))
    yield from finish_task(asked.task, timeout, poll)
    return (yield from send(Call("GET", f"{path}/{old}/{new}", _COMPARISON)))


def changes(
    dataset: str, old: int, new: int, kind: ChangeKind = "changed", offset: int = 0, limit: int = 20
) -> Call[ChangePage]:
    """Rows of a comparison that was made."""
    path = f"/api/v1/datasets/{segment(dataset)}/comparisons/{old}/{new}/changes"
    return Call("GET", path, _CHANGES, query={"kind": kind, "offset": offset, "limit": limit})


def delete_version(dataset: str, number: int, *, even_if_used: bool = False) -> Call[DatasetVersion]:
    """Delete the rows of a version; its number and its hash stay.

    Refused where a model was trained on it, unless `even_if_used`; always while a run needs it.
    """
    query = {"even_if_used": str(even_if_used).lower()}
    return Call("DELETE", _version(dataset, number), _VERSION, query=query)


def collect_garbage(*, timeout: float | None = None, poll: float = 0.3) -> Flow[Task]:
    """Free the bytes of deleted versions, and wait for it. The task's result has `blobs` and `bytes`."""
    asked = yield from send(Call("POST", "/api/v1/garbage", _TASK))
    return (yield from finish_task(asked.id, timeout, poll))


def _version(dataset: str, number: int) -> str:
    return f"/api/v1/datasets/{segment(dataset)}/versions/{number}"
