"""Pipelines: saved definitions, their schedules and starts."""

import secrets

from tunery.schemas.pipeline import Pipeline, PipelineCheck, PipelineStart, PipelineVersion
from tunery.schemas.project import Page
from tunery.schemas.run import RunDetail
from tunery.sdk.call import Call, Resource, S, as_json, endpoint, nothing, segment
from tunery.sdk.spec import SpecLike, to_spec

_PIPELINE = as_json(Pipeline)
_CHECK = as_json(PipelineCheck)
_PIPELINES = as_json(Page[Pipeline])
_VERSIONS = as_json(list[PipelineVersion])
_STARTS = as_json(Page[PipelineStart])
_RUN = as_json(RunDetail)


def save(spec: SpecLike, *, name: str | None = None, template: bool = False) -> Call[Pipeline]:
    """Save a definition as a new pipeline or template."""
    body = {"name": name, "template": template, "spec": _sent(spec)}
    return Call("POST", "/api/v1/pipelines", _PIPELINE, body=body, headers=_once(), safe=True)


def check(spec: SpecLike) -> Call[PipelineCheck]:
    """What a definition would run with now, and when its schedule would start it. Nothing is kept."""
    return Call("POST", "/api/v1/pipelines/check", _CHECK, body=_sent(spec), safe=True)


def list_(limit: int = 20, after: str | None = None) -> Call[Page[Pipeline]]:
    """Pipelines and templates, newest first."""
    return Call("GET", "/api/v1/pipelines", _PIPELINES, query={"limit": limit, "after": after})


def get(pipeline: str) -> Call[Pipeline]:
    """One pipeline by name or id, with its schedule's next times."""
    return Call("GET", _path(pipeline), _PIPELINE)


def change(pipeline: str, spec: SpecLike) -> Call[Pipeline]:
    """Save a spec as the pipeline's newest version."""
    return Call("PUT", _path(pipeline), _PIPELINE, body=_sent(spec), safe=True)


def delete(pipeline: str) -> Call[None]:
    """Delete a pipeline and its schedule; its runs are kept."""
    return Call("DELETE", _path(pipeline), nothing)


def versions(pipeline: str) -> Call[list[PipelineVersion]]:
    """Every version, newest first."""
    return Call("GET", f"{_path(pipeline)}/versions", _VERSIONS)


def start(pipeline: str) -> Call[RunDetail]:
    """Queue a run of the newest version."""
    return Call("POST", f"{_path(pipeline)}/start", _RUN, headers=_once(), safe=True)


def set_schedule(pipeline: str, *, active: bool) -> Call[Pipeline]:
    """Turn the schedule on or off."""
    return Call("PUT", f"{_path(pipeline)}/schedule", _PIPELINE, body={"active": active}, safe=True)


def starts(pipeline: str, limit: int = 20, after: str | None = None) -> Call[Page[PipelineStart]]:
    """Its starts, and those skipped or refused, newest first."""
    return Call("GET", f"{_path(pipeline)}/starts", _STARTS, query={"limit": limit, "after": after})


def _path(pipeline: str) -> str:
    return f"/api/v1/pipelines/{segment(pipeline)}"


def _sent(spec: SpecLike) -> dict[str, object]:
    return to_spec(spec).model_dump(mode="json", exclude_unset=True)


def _once() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_urlsafe(18)}


class Pipelines(Resource[S]):
    """Saved definitions of a fine-tuning."""

    save = endpoint(save)
    check = endpoint(check)
    list = endpoint(list_)
    get = endpoint(get)
    change = endpoint(change)
    delete = endpoint(delete)
    versions = endpoint(versions)
    start = endpoint(start)
    set_schedule = endpoint(set_schedule)
    starts = endpoint(starts)
