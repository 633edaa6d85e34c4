"""What is measured of a version: lengths, tokens, languages, repeats; and how two versions differ."""

from typing import Any, Literal

from tunery.schemas.base import Microseconds, Schema

AnalysisState = Literal["queued", "running", "failed", "done"]


class Bar(Schema):
    """Rows whose length lies between two lengths, both included."""

    low: int
    high: int
    rows: int


class CutShare(Schema):
    """How many rows are longer than a length, so that a training with that limit cuts them."""

    length: int
    rows: int
    share: float
    exact: bool
    """False: rows up to 0.4 % longer than `length` may not be counted."""


class LengthSummary(Schema):
    """How long rows are."""

    total: int
    """Of all rows together."""
    mean: float
    shortest: int
    median: int
    p90: int
    """Nine of ten rows are no longer."""
    p99: int
    longest: int
    bars: list[Bar]
    cuts: list[CutShare]
    """At the usual limits."""
    exact_up_to: int
    """Lengths up to here are counted one by one, longer ones to 0.4 %."""


class LanguageShare(Schema):
    """Rows in one language."""

    language: str
    """ISO 639 code, or `unknown`."""
    rows: int
    share: float


class VersionStatistics(Schema):
    """What is in a version."""

    rows: int
    turns: int
    turns_by_role: dict[str, int]
    characters: LengthSummary
    """Length of the rows' content."""
    tokens: LengthSummary | None
    """Length of the rows as the model sees them, chat template and special tokens included; none without a tokenizer.
    A row that becomes two sequences (a preference) is as long as the longer one."""
    sequence_tokens: int | None
    """Tokens of all sequences together."""
    learnt_tokens: int | None
    """How many of these are learnt from, before any cut: all answers, of a preference or a label the one judged."""
    refused_rows: int
    """Rows that the model's chat template refuses."""
    refused_example: dict[str, Any] | None
    """The first of them, counted from 1, and why."""
    languages: list[LanguageShare] | None
    """Most frequent first; none where the package that tells languages isn't installed."""
    duplicates: int
    """Rows that repeat an earlier one exactly."""
    empty_rows: int
    """Rows with a turn that is empty or only white space."""
    empty_turns_by_role: dict[str, int]
    short_answers: int
    """Rows whose last answer has fewer than 10 characters."""


class Statistics(Schema):
    """The statistics of a version, or how far their computation is."""

    dataset: str
    version: int
    content_hash: str
    base_model: str | None
    """Whose tokenizer counted the tokens."""
    state: AnalysisState
    task: str
    """The task that computes or computed it."""
    progress: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    computed: Microseconds | None = None
    found: VersionStatistics | None = None
    cut: CutShare | None = None
    """At the length that was asked for."""


class StatisticsRequest(Schema):
    """Ask for statistics."""

    base_model: str | None = None
    """Count tokens as this base model does; none = no tokens."""


class FoundRow(Schema):
    """A row that fits a search."""

    number: int
    """From 1."""
    row: dict[str, Any]
    characters: int
    tokens: int | None = None
    language: str | None = None
    repeats: int | None = None
    """The earlier row that it repeats, from 1."""


class FoundRows(Schema):
    """A page of the rows that fit a search."""

    rows: list[FoundRow]
    offset: int
    total: int
    """Rows that fit, as far as the search went."""
    complete: bool
    """False: the version is large and the search stopped at row `searched`; asking again goes on from there."""
    searched: int
    """Rows looked at."""
    of: int
    """Rows of the version."""


ChangeKind = Literal["changed", "added", "removed", "unchanged"]


class ComparisonCounts(Schema):
    """How many rows."""

    changed: int
    added: int
    removed: int
    unchanged: int


class Comparison(Schema):
    """How one version of a dataset differs from another."""

    dataset: str
    old: int
    new: int
    state: AnalysisState
    task: str
    progress: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    counts: ComparisonCounts | None = None


class ComparisonRequest(Schema):
    """Ask how version `new` differs from version `old`."""

    old: int
    new: int


class Change(Schema):
    """One row of a comparison."""

    kind: ChangeKind
    old: int | None
    """Its number in the old version, from 1."""
    new: int | None
    old_row: dict[str, Any] | None
    new_row: dict[str, Any] | None


class ChangePage(Schema):
    """Some rows of a comparison."""

    changes: list[Change]
    offset: int
    total: int


class Piece(Schema):
    """Text of consecutive tokens that share everything but their words."""

    text: str
    tokens: int
    special: bool
    """Control tokens: the model sees one number, not letters."""
    learnt: bool
    """The model learns to write this."""
    cut: bool
    """Beyond the limit: the model never sees it."""


class SeenSequence(Schema):
    """One token sequence that a row becomes."""

    label: str | None
    """Which of several: `chosen`, `rejected`, `part 2` …"""
    tokens: int
    """That the model is trained on."""
    learnt: int
    cut: int
    """Tokens lost behind the limit."""
    left_out: bool
    """Nothing of it is learnt within the limit, so training leaves it out."""
    pieces: list[Piece]
    complete: bool
    """False: too long to show in full; its end is left out here, not in training."""


class SeenRow(Schema):
    """A row as the model sees it."""

    number: int
    """From 1."""
    sequences: list[SeenSequence]
    problem: dict[str, Any] | None = None
    """Why the model's chat template refuses it."""


class Seen(Schema):
    """Some rows of a version as a training would see them."""

    dataset: str
    version: int
    base_model: str
    method: str
    """The training method whose rules say what is learnt."""
    max_sequence_length: int
    note: str | None
    rows: list[SeenRow]
    offset: int
    total: int
