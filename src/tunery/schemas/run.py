"""RunSpec: the one document that console, YAML, REST, SDK and CLI produce. Run: what became of one."""

from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tunery.schemas.base import Microseconds, Name, Schema
from tunery.schemas.clone import Clone
from tunery.schemas.continuing import Continued, ContinueSpec
from tunery.schemas.cost import Cost
from tunery.schemas.estimate import EstimateResult
from tunery.schemas.recipe import LeakCount
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
    """The file's format; none = detected from its content."""

    @property
    def label(self) -> str:
        """`name@version`, or the path."""
        return self.path or f"{self.dataset}@{self.version}"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, _, number = value.rpartition("@")
        return (
            {"dataset": name, "version": int(number)} if name and number.isdecimal() else {"dataset": value}
        )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.dataset is None) == (self.path is None):
            raise ValueError("give either a dataset or a path")
        return self


class TrainRef(DataRef):
    """Training data, and how much of it is taken."""

    sampling_rate: float | None = Field(None, ge=0.01, le=10)
    """How often the data is repeated in an epoch; none = 1. 2.3 = two whole copies and a random subset that
    holds about 0.3 of the characters. 1 to 5 is recommended."""
    share: float | None = Field(None, gt=0, lt=100)
    """Instead of sampling_rate: this data's percentage of the training characters."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value.model_dump() if type(value) is DataRef else value

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if self.sampling_rate is not None and self.share is not None:
            raise ValueError("give either a sampling_rate or a share")
        return self


DEFAULT_MIX = 0.2
"""General : own = 1 : 5."""


class MixSpec(Schema):
    """A general corpus mixed into the training data to reduce forgetting."""

    ratio: float = Field(default=DEFAULT_MIX, gt=0, le=10)
    """General : own in characters after sampling; 0.2, or "1:5", is recommended."""
    dataset: str | None = None
    """The corpus; none = the one the administrator chose, or else the small one that ships with Tunery."""
    version: int | None = Field(None, ge=1, le=2**31 - 1)
    """Which version; none = the newest published one."""

    @property
    def label(self) -> str:
        """`name@version`."""
        return f"{self.dataset}@{self.version}"

    @field_validator("ratio", mode="before")
    @classmethod
    def _as_number(cls, value: Any) -> Any:
        return ratio_of(value) if isinstance(value, str) and ":" in value else value


def ratio_of(text: str) -> float:
    """A ratio as people write it, `1:5`. Raises ValueError."""
    general, _, own = text.partition(":")
    try:
        return float(general) / float(own)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError("write a ratio as a number, or as in 1:5") from error


class DataSpec(Schema):
    """What a run trains on and is measured on."""

    train: list[TrainRef] = Field(min_length=1)
    """Training data; several datasets are mixed."""
    mix: MixSpec | None = None
    """A general corpus mixed in; `true` uses the default ratio, a number or "1:5" is the ratio."""
    seed: int = Field(default=0, ge=0, le=2**53)
    """Seed of sampling, of the mix, and of joining rows into multi-turn ones."""
    validation: DataRef | None = None
    """Validation data; none = see the setting validation_split_ratio."""

    @property
    def learnt_from(self) -> list[str]:
        """Labels of all data that rows are learnt from."""
        return [ref.label for ref in (*self.train, *([self.mix] if self.mix else []))]

    @field_validator("mix", mode="before")
    @classmethod
    def _short_mix(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {} if value else None
        return {"ratio": value} if isinstance(value, (int, float, str)) else value

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        shares = [ref.share for ref in self.train if ref.share is not None]
        total = sum(shares)
        if len(shares) == len(self.train) and abs(total - 100) > 0.01:
            raise ValueError(f"the shares must add up to 100 %, but add up to {total:g} %")
        if shares and len(shares) < len(self.train) and total >= 100:
            raise ValueError(f"the shares add up to {total:g} %, which leaves nothing for the other data")
        return self

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
    """Evaluating the base and the tuned model after training."""

    dataset: DataRef | None = None
    """Held-out rows; none = no evaluation."""
    metrics: list[str] = ["exact_match", "loss"]
    """Names of metrics."""
    max_new_tokens: int = Field(default=256, ge=1, le=8192)
    """Maximum length of each generated answer, in tokens."""
    max_rows: int = Field(default=1000, ge=1, le=100_000)
    """Use only this many rows, from the start."""


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
    """CPU threads of the engine; 0 = the server's default. 1 makes training bit-for-bit reproducible."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Who comes first where several wait. A step counts like an hour of waiting, so that nobody waits for ever."""
    idle_time: bool = False
    """Train only while nothing else wants the machine: it saves and gives way to other runs, and comes back by
    itself."""


class TriggerSpec(Schema):
    """What starts a pipeline: a person or a schedule."""

    type: Literal["manual", "schedule"] = "manual"
    cron: str | None = Field(default=None, max_length=200)
    """When: minute, hour, day of month, month, weekday, as in `30 2 * * mon`; weekday 0 and 7 are Sunday."""
    time_zone: str = Field(default="UTC", max_length=64)
    """Time zone of the times and days, as in Europe/Berlin."""
    first_day: date | None = None
    """Not before this day."""
    last_day: date | None = None
    """Not after this day."""
    overlap: Literal["queue", "skip"] = "skip"
    """If an earlier run of the pipeline is still in progress: queue another (at most one), or skip this start."""
    missed: Literal["run_once", "skip"] = "run_once"
    """If starts were missed because the server was down: run once, or wait for the next start."""

    @model_validator(mode="after")
    def _when(self) -> Self:
        if self.type == "schedule" and not self.cron:
            raise ValueError("a schedule needs cron, which says when it starts")
        idle = self.model_fields_set - {"type"}
        if self.type == "manual" and any(getattr(self, name) != type(self)().__dict__[name] for name in idle):
            raise ValueError(f"without type: schedule these have no effect: {', '.join(sorted(idle))}")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        return self


class RunSpec(Schema):
    """Everything that defines a run. Unset fields are filled in by resolution and recorded with their origin."""

    schema_version: Literal[1] = 1
    name: Name | None = None
    """Name of the run; none = ft_[base model]_[timestamp]. Runs with the same name are numbered #1, #2 …"""
    description: str = Field(default="", max_length=500)
    """What this is for."""
    task: Literal["text-generation"] = "text-generation"
    method: str = "sft"
    """Name of a training method."""
    clone_of: str | None = Field(None, min_length=1, max_length=256)
    """The run that this spec was copied from, as `name #2`: what differs from it is shown before the start and kept
    with the run."""
    continue_from: ContinueSpec | None = None
    """Start from an earlier run's model instead of the base model."""
    base_model: str = Field(default="", validate_default=True)
    """Name of a base model, or the path of a folder with safetensors, config and tokenizer. With `continue_from` it is
    that run's and may be left out."""
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

    @field_validator("base_model")
    @classmethod
    def _named(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("continue_from", ...) is None:
            raise PydanticCustomError("missing", "Field required")
        return value


class Outlook(Schema):
    """What a run will consist of, computed before it starts."""

    rows: int
    """Training rows in an epoch."""
    validation_rows: int
    """Validation rows; 0 = no validation during training."""
    held_out_rows: int
    """Held-out rows that the base and the tuned model are evaluated on; 0 = no evaluation."""
    rows_per_step: int
    steps: int
    """Optimizer steps in total."""
    rough: bool
    """Rows and steps are estimates: the rows' lengths, a mix or sampling also matter."""


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
    continues: Continued | None = None
    """The earlier model it starts from; none = the base model."""
    clone: Clone | None = None
    """What differs from the run in `clone_of`."""
    recipe_hash: str = ""
    """Hash of everything that determines the training rows and their order: equal recipes give equal rows."""
    outlook: Outlook | None = None
    """What it will come to."""
    notes: list[str] = []
    """What the user should know: values lowered, rows left out …"""
    leaks: list[LeakCount] = []
    """Test sets with rows that also appear in the training data, as far as a quick look can tell."""

    @property
    def began_with(self) -> list[str]:
        """The earlier states it was trained on from, the first of them first."""
        return [*self.continues.before, self.continues.label] if self.continues else []

    @property
    def learnt_from(self) -> list[str]:
        """Labels of all data that the model will have learnt from, its earlier trainings included."""
        earlier = self.continues.datasets if self.continues else []
        return list(dict.fromkeys([*self.spec.data.learnt_from, *earlier]))


RunState = Literal["queued", "running", "paused", "succeeded", "stopped", "failed", "cancelled"]
StageState = Literal["waiting", "running", "succeeded", "failed", "skipped"]


RetryStage = Literal["prepare", "train", "evaluate", "publish"]
"""prepare: everything anew. train: from the newest checkpoint. evaluate, publish: with the model that was trained."""


class RetryRequest(Schema):
    """Where the retry of a run begins."""

    stage: RetryStage | None = None
    """None = the stage that failed."""


class Stage(Schema):
    """One stage of a run: prepare, train, evaluate, publish."""

    name: str
    state: StageState
    started: Microseconds | None = None
    ended: Microseconds | None = None
    idle: int = 0
    """Microseconds since `started` in which nothing worked on it: the run was paused, or the server was down."""
    error: dict[str, Any] | None = None
    doing: str | None = None
    """What it is doing, in words; for an evaluation: which model answers or is scored."""
    done: int = 0
    """Its progress: rows out of `total`."""
    total: int = 0


class Progress(Schema):
    """How far a run is."""

    step: int = 0
    saved: int = 0
    """Step of the newest checkpoint: a run that dies, or can't save when it is to pause, goes on from there."""
    steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
    tokens: int = 0
    """Trained on and validated on so far, each step once."""


class Waiting(Schema):
    """Why a run isn't begun, or its next stage."""

    code: Literal[
        "no_worker", "project_limit", "slot_coming", "runs_ahead", "gave_way", "idle_time", "worker_takes_it"
    ]
    """no_worker: nobody is there to work. project_limit: its project has as many runs at work as it may. slot_coming:
    an idle-time run saves, to give way to it. runs_ahead: others come first. gave_way: an idle-time run that comes
    back when the others are done. idle_time: an idle-time run that others keep from beginning. worker_takes_it: nothing
    is in the way."""
    message: str
    """The same in a sentence."""
    ahead: list[str] = []
    """The first of the runs that come before it, as `name #1`."""
    ahead_count: int = 0
    """How many there are."""
    limit: int | None = None
    """How many runs the project may have at work, where that is in the way."""


class Run(Schema):
    """One execution of a RunSpec."""

    id: str
    name: str
    number: int
    """1 for the first run of a name, then 2, 3 …"""
    description: str
    state: RunState
    reason: dict[str, Any] | None = None
    """Why it is paused or how it ended: a code with parameters."""
    waiting: Waiting | None = None
    """Why it doesn't go on yet, while a stage of it waits to be begun."""
    method: str
    base_model: str
    priority: int = 0
    """Who comes first where several wait."""
    idle_time: bool = False
    """It gives way to other runs, and continues automatically."""
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
    data_wait_share: float = 0.0
    """Of the training time, the part in which a step waited for its rows to become batches."""
    first_loss: float | None = None
    last_loss: float | None = None
    validation_loss: float | None = None
    peak_rss_mb: float = 0.0
    output: str | None = None
    """Folder name of the trained model or adapter under the attempt folder."""
    output_kind: Literal["adapter", "full"] | None = None


class RelatedRun(Schema):
    """A run in the line of another: one that it continues, or one that continues it."""

    id: str
    name: str
    """`name #2`."""
    state: RunState
    method: str
    step: int
    """The step that is gone on from."""
    model: str | None = None
    """`name:version` of what it published."""


class RunDetail(Run):
    """A run with its frozen spec and what training came to."""

    resolved: ResolvedSpec
    cost: Cost | None = None
    """What it cost so far; none where no price was set when it was submitted."""
    ancestors: list[RelatedRun] = []
    """The runs whose model it began with, the first of them first; before that stands the base model."""
    continued_by: list[RelatedRun] = []
    """Runs that began with a model of this one."""
    retries: RelatedRun | None = None
    """The run that it is a retry of."""
    result: TrainResult | None = None
    """Of the last attempt; none while it trains."""
    estimate: EstimateResult | None = None
    """What was predicted before it was submitted, where somebody asked; to be held against the result."""


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


class AnswerAtStep(Schema):
    """What a model answered at a validation."""

    step: int
    answer: str


class SampledRow(Schema):
    """A validation row that a model answered while it trained."""

    prompt: str
    expected: str | None
    """None where the row's answer is an unwanted one."""
    answers: list[AnswerAtStep]
    """By step; greedy, cut after 64 tokens."""


class LogPart(Schema):
    """The log of one attempt."""

    attempt: int
    stage: Literal["train", "evaluate"]


class RunLog(Schema):
    """A part of what the engine of one attempt printed."""

    text: str
    offset: int
    """Byte to continue from."""
    attempt: int
    logs: list[LogPart] = []
    """All attempts that printed something, oldest first."""
