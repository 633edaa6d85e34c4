"""Base models to start from, models that runs published, what is served, and evaluations."""

import time

from tunery.core.errors import Problem
from tunery.schemas.evaluation import Evaluation, EvaluationRowPage
from tunery.schemas.model import AddBaseModel, BaseModelEntry, Deployment, Model, ModelVersion, PublishRequest
from tunery.schemas.project import Page
from tunery.schemas.task import Task
from tunery.sdk.call import Call, Flow, Pause, Resource, S, as_json, endpoint, flow, segment, send

_BASE = as_json(BaseModelEntry)
_BASES = as_json(Page[BaseModelEntry])
_MODEL = as_json(Model)
_MODELS = as_json(Page[Model])
_VERSIONS = as_json(list[ModelVersion])
_TASK = as_json(Task)
_EVALUATION = as_json(Evaluation)
_EVALUATION_ROWS = as_json(EvaluationRowPage)
_DEPLOYMENTS = as_json(list[Deployment])


def list_bases() -> Call[Page[BaseModelEntry]]:
    """Every base model, on this machine or not."""
    return Call("GET", "/api/v1/base-models", _BASES)


def get_base(name: str) -> Call[BaseModelEntry]:
    """One base model."""
    return Call("GET", f"/api/v1/base-models/{segment(name)}", _BASE)


def add_base(path: str, *, name: str | None = None, licence: str | None = None) -> Call[BaseModelEntry]:
    """Register a folder on the server's machine as a base model."""
    body = AddBaseModel(path=path, name=name, licence=licence).model_dump(mode="json")
    return Call("POST", "/api/v1/base-models", _BASE, body=body)


class BaseModels(Resource[S]):
    """Models to fine-tune."""

    list = endpoint(list_bases)
    get = endpoint(get_base)
    add = endpoint(add_base)


def list_models(limit: int = 20, after: str | None = None) -> Call[Page[Model]]:
    """Models, newest first."""
    return Call("GET", "/api/v1/models", _MODELS, query={"limit": limit, "after": after})


def get_model(model: str) -> Call[Model]:
    """One model by name or id."""
    return Call("GET", f"/api/v1/models/{segment(model)}", _MODEL)


def list_versions(model: str) -> Call[list[ModelVersion]]:
    """Every version of a model."""
    return Call("GET", f"/api/v1/models/{segment(model)}/versions", _VERSIONS)


def publish_later(run: str, *, name: str | None = None, step: int | None = None) -> Call[Task]:
    """Have a run's result (or its checkpoint at `step`) published; answers with the task that does it."""
    body = PublishRequest(run=run, name=name, step=step).model_dump(mode="json")
    return Call("POST", "/api/v1/models", _TASK, body=body)


def get_task(task: str) -> Call[Task]:
    """A task of the queue."""
    return Call("GET", f"/api/v1/tasks/{segment(task)}", _TASK)


def publish(
    run: str,
    *,
    name: str | None = None,
    step: int | None = None,
    timeout: float | None = None,
    poll: float = 0.3,
) -> Flow[Task]:
    """Publish a run's result and wait for it. Raises the Problem it failed with, or TimeoutError."""
    task = yield from send(publish_later(run, name=name, step=step))
    end = None if timeout is None else time.monotonic() + timeout
    while task.state in ("queued", "running"):
        if end is not None and time.monotonic() > end:
            raise TimeoutError(f"publishing {run} goes on after {timeout} s")
        yield Pause(poll)
        task = yield from send(get_task(task.id))
    if task.state != "succeeded" and task.reason:
        raise Problem.from_dict(task.reason)
    return task


class Models(Resource[S]):
    """What runs published."""

    list = endpoint(list_models)
    get = endpoint(get_model)
    versions = endpoint(list_versions)
    publish_later = endpoint(publish_later)
    publish = flow(publish)


class Tasks(Resource[S]):
    """Rows of the queue."""

    get = endpoint(get_task)


def get_evaluation(evaluation: str) -> Call[Evaluation]:
    """Base against tuned, by metric."""
    return Call("GET", f"/api/v1/evaluations/{segment(evaluation)}", _EVALUATION)


def evaluation_rows(evaluation: str, *, offset: int = 0, limit: int = 20) -> Call[EvaluationRowPage]:
    """The rows behind the scores."""
    path = f"/api/v1/evaluations/{segment(evaluation)}/rows"
    return Call("GET", path, _EVALUATION_ROWS, query={"offset": offset, "limit": limit})


class Evaluations(Resource[S]):
    """Base against tuned on held-out rows."""

    get = endpoint(get_evaluation)
    rows = endpoint(evaluation_rows)


def list_deployments() -> Call[list[Deployment]]:
    """Everything a chat request can name, with the state of its replica."""
    return Call("GET", "/api/v1/deployments", _DEPLOYMENTS)


class Deployments(Resource[S]):
    """What is served."""

    list = endpoint(list_deployments)
