"""RunSpec: the one document that console, YAML, REST, SDK and CLI produce. Run: what became of one."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tunery.schemas.base import Microseconds, Name, Schema
from tunery.schemas.settings import Origin


class DataRef(Schema):
    """A dataset version on the server, or a file beside the spec. Exactly one of `dataset` and `path`."""

    dataset: str | None = None
    """Name or id of a dataset."""
    version: int | None = Field(None, ge=1, le=2**31 - 1)
    """Which version; none = the newest published one."""
    path: str | None = None
    """A file, for `tunery train` without a server; relative paths count from the spec's folder."""
    format: str | None = None
    """The file's format; none = recognised by content."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"dataset": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.dataset is None) == (self.path is None):
            raise ValueError("name either a dataset or a path")
        return self


class DataSpec(Schema):
    """What a run learns from and is measured on."""

    train: list[DataRef] = Field(min_length=1)
    """Training data; several are gone through together."""
    validation: DataRef | None = None
    """Validation data; none = see the setting validation_split_ratio."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list):
            value = {"train": value}
        if isinstance(value, dict) and isinstance(value.get("train"), (str, dict)):
            value = {**value, "train": [value["train"]]}
        return value


class EvaluateSpec(Schema):
    """Judging base against tuned after training."""

    dataset: DataRef | None = None
    """Held-out rows; none = no evaluation."""
    metrics: list[str] = ["exact_match", "loss"]
    """Names of metrics."""
    max_new_tokens: int = Field(default=256, ge=1, le=8192)
    """Longest answer to generate for a row."""
    max_rows: int = Field(default=1000, ge=1, le=100_000)
    """Use the first so many rows."""


class PublishSpec(Schema):
    """What happens to the model when training succeeded."""

    auto: bool = False
    """Publish a model version on success."""
    name: Name | None = None
    """The model's name; none = the run's name."""


class ResourceSpec(Schema):
    """Where the run executes."""

    launcher: str = "local"
    """How the engine is started."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of the engine; 0 = the server's default. One thread gives bit-exact repetition."""


class TriggerSpec(Schema):
    """What starts the run."""

    type: Literal["manual"] = "manual"


class RunSpec(Schema):
    """Everything that defines a run. Unset fields are filled in by resolution and recorded with their origin."""

    schema_version: Literal[1] = 1
    name: Name | None = None
    """Name of the line of work; none = ft_[base model]_[timestamp]. A second run of a name is its run 2."""
    description: str = Field(default="", max_length=500)
    """What this is for."""
    task: Literal["text-generation"] = "text-generation"
    method: str = "sft"
    """Name of a training method."""
    base_model: str = Field(min_length=1)
    """Name of a base model, or the path of a folder with safetensors, config and tokenizer."""
    data: DataSpec
    settings: dict[str, Any] = {}
    """Settings of the method; see the reference for each method's names, ranges and defaults."""
    preset: Literal["recommended", "default"] = "recommended"
    """Where settings that you leave out come from."""
    allow_out_of_range: bool = False
    """Accept settings outside their recommended range."""
    evaluate: EvaluateSpec = EvaluateSpec()
    publish: PublishSpec = PublishSpec()
    resources: ResourceSpec = ResourceSpec()
    trigger: TriggerSpec = TriggerSpec()


class ResolvedSpec(Schema):
    """A RunSpec with every value filled in, and the origin of each setting. Frozen with the run."""

    spec: RunSpec
    origins: dict[str, Origin]
    base_model_hash: str
    """Content hash of the base model's folder."""
    data_hashes: dict[str, str]
    """Content hash of each dataset used, by `name@version` or path."""
    code_version: str
    """Version of Tunery that resolved it."""
    notes: list[str] = []
    """What a person should know: values lowered, rows left out …"""


RunState = Literal["queued", "running", "paused", "succeeded", "stopped", "failed", "cancelled"]
StageState = Literal["waiting", "running", "succeeded", "failed", "skipped"]


class Stage(Schema):
    """One stage of a run: prepare, train, evaluate, publish."""

    name: str
    state: StageState
    started: Microseconds | None = None
    ended: Microseconds | None = None
    error: dict[str, Any] | None = None


class Progress(Schema):
    """How far a run is."""

    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None


class Run(Schema):
    """One execution of a RunSpec."""

    id: str
    name: str
    number: int
    """1 for the first run of a name, then 2, 3 …"""
    description: str
    state: RunState
    reason: dict[str, Any] | None = None
    """Why it waits or how it ended: a code with parameters."""
    method: str
    base_model: str
    progress: Progress
    stages: list[Stage]
    attempt: int
    """How many times an engine was started for it."""
    created: Microseconds
    started: Microseconds | None
    ended: Microseconds | None
    model: str | None = None
    """`name:version` of what it published."""
    evaluation: str | None = None
    """Id of its evaluation."""
    last_event: int = 0
    """Number of its newest event; a reader who knows the state so far follows the stream from there."""


class TrainResult(Schema):
    """result.json of a training."""

    status: Literal["succeeded", "stopped", "paused", "failed", "cancelled"]
    error: dict[str, Any] | None = None
    """A Problem, as `Problem.as_dict` gives it."""
    steps: int = 0
    """Optimizer steps done, over all attempts."""
    train_seconds: float = 0.0
    """From the first batch asked for to the end of the last step; evaluation and saving apart; this attempt only."""
    tokens: int = 0
    """Tokens trained on by this attempt."""
    supervised_tokens: int = 0
    tokens_per_second: float = 0.0
    first_loss: float | None = None
    last_loss: float | None = None
    validation_loss: float | None = None
    peak_rss_mb: float = 0.0
    output: str | None = None
    """Folder name of the trained model or adapter under the attempt folder."""
    output_kind: Literal["adapter", "full"] | None = None


class RunDetail(Run):
    """A run with its frozen spec and what training came to."""

    resolved: ResolvedSpec
    result: TrainResult | None = None
    """Of the last attempt; none while it trains."""


class Checkpoint(Schema):
    """A resumable state of a run at a step."""

    run: str
    attempt: int
    step: int
    created: Microseconds
    bytes: int
    hash: str


class MetricSeries(Schema):
    """One curve: at each step the value of the highest attempt."""

    name: str
    steps: list[int]
    values: list[float]
    times: list[int]


class RunLog(Schema):
    """A part of what the engine of the newest attempt printed."""

    text: str
    offset: int
    """Byte to go on from."""
    attempt: int
