"""The lines of events.jsonl. Additive only: readers keep types and fields they don't know."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Event(BaseModel):
    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    v: Literal[1] = 1
    seq: int
    """Counts up within an attempt, from 1."""
    attempt: int
    step: int
    """The optimizer step it belongs to; 0 before the first."""
    time: int
    """UTC microseconds."""


class Started(_Event):
    """The engine has everything and begins, or goes on from `resumed_from`."""

    type: Literal["started"] = "started"
    steps: int
    """Optimizer steps in total."""
    rows: int
    validation_rows: int
    tokens: int | None
    """Tokens of one epoch; none where rows become tokens while it trains."""
    supervised_tokens: int | None
    """Tokens of one epoch that are trained on; none as above."""
    trainable_parameters: int
    parameters: int
    resumed_from: int | None
    """The step of the checkpoint gone on from."""


class Tokenized(_Event):
    """All rows are tokens now, and this is what they came to."""

    type: Literal["tokenized"] = "tokenized"
    stage: str
    """`tokenize` for training rows, `tokenize validation` for validation rows."""
    tokens: int
    supervised_tokens: int
    dropped_rows: int
    """Rows left out because nothing in them can be trained on."""
    cut_rows: int
    """Examples that were longer than max_sequence_length and lost their end."""


class Metric(_Event):
    """Values measured at a step."""

    type: Literal["metric"] = "metric"
    values: dict[str, float]
    """train_loss, learning_rate, grad_norm, tokens_per_second, epoch, memory_mb, eta_seconds, validation_loss …;
    of each dataset, where there are several, `train_loss/NAME@VERSION` and `validation_loss/NAME@VERSION`."""


class Log(_Event):
    """A sentence for people."""

    type: Literal["log"] = "log"
    level: Literal["info", "warning", "error"]
    message: str


class Sample(_Event):
    """An answer generated during training or evaluation."""

    type: Literal["sample"] = "sample"
    prompt: str
    answer: str
    expected: str | None = None


class StandsOut(_Event):
    """The loss of this step was far above that of the steps before; what it was made of, to be looked at."""

    type: Literal["stands_out"] = "stands_out"
    loss: float
    usual: float
    """The middle one of the losses before."""
    rows: list[int]
    """Numbers of the training rows of the step, from 1; the first 64."""


class CheckpointSaved(_Event):
    """A checkpoint is complete and verifies."""

    type: Literal["checkpoint"] = "checkpoint"
    name: str
    """Folder name under checkpoints/."""
    bytes: int
    hash: str


class Progressed(_Event):
    """How far something other than training is."""

    type: Literal["progress"] = "progress"
    stage: str
    done: int
    total: int


class Finished(_Event):
    """The engine is done; result.json says how."""

    type: Literal["finished"] = "finished"
    status: Literal["succeeded", "stopped", "paused", "failed", "cancelled"]
    error: dict[str, Any] | None = None


Event = Annotated[
    Started | Tokenized | Metric | Log | Sample | StandsOut | CheckpointSaved | Progressed | Finished,
    Field(discriminator="type"),
]
EVENT_TYPES: tuple[type[_Event], ...] = (
    Started,
    Tokenized,
    Metric,
    Log,
    Sample,
    StandsOut,
    CheckpointSaved,
    Progressed,
    Finished,
)
EVENT: TypeAdapter[Any] = TypeAdapter(Event)
