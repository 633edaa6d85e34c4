"""Base models to start from, and the models that runs publish."""

from typing import Any, Literal

from pydantic import Field

from tunery.schemas.base import Microseconds, Name, Schema


class BaseModelEntry(Schema):
    """A model to fine-tune: a catalog entry, or a folder someone added."""

    name: str
    family: str
    architecture: str
    task: str
    parameters_b: float | None
    """Billions of parameters."""
    context: int | None
    """Longest sequence in tokens."""
    methods: list[str]
    """Fine-tuning types it supports."""
    licence: str | None
    repo: str | None
    available: bool
    """Its weights are on this machine."""
    note: str | None = None
    """Why it can't be used here, or what to know first."""


class AddBaseModel(Schema):
    """Register a folder as a base model."""

    path: str
    name: Name | None = None
    licence: str | None = None


class ModelVersion(Schema):
    """What a run published, with its lineage."""

    model: str
    version: int
    kind: Literal["adapter", "full"]
    writes_text: bool
    """Whether it answers under /v1; a reward model outputs scores only."""
    base_model: str
    run: str
    step: int
    continued_from: list[str] = []
    """The earlier states it was trained on from, the first of them first, as `name #2 @ step 1,200`."""
    dataset_versions: list[str]
    evaluation: str | None
    scores: dict[str, Any] | None = None
    content_hash: str
    bytes: int
    licence: str | None
    created: Microseconds


class Model(Schema):
    """A named line of versions."""

    id: str
    name: str
    created: Microseconds
    latest: ModelVersion | None


class PublishRequest(Schema):
    """Make a model version of a run's result or of one of its checkpoints."""

    run: str
    name: Name | None = None
    """The model's name; none = the run's name."""
    step: int | None = Field(None, ge=0, le=2**31 - 1)
    """A checkpoint's step; none = the final model."""


class Deployment(Schema):
    """A model version (or base model) that is served under a name."""

    name: str
    """What to put in `model` of a chat request."""
    base_model: str
    model_version: str | None
    state: Literal["idle", "starting", "ready", "failed"]
    error: dict[str, Any] | None = None
    created: Microseconds
