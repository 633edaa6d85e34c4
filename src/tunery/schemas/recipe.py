"""What a recipe comes to: how many rows each dataset gives, what is set aside, which test rows leak. A preview
estimates it before the run; once the rows are laid out, it is counted."""

from typing import Literal

from pydantic import Field

from tunery.schemas.base import Schema
from tunery.schemas.cost import Cost


class RecipePart(Schema):
    """One dataset of a recipe."""

    dataset: str
    """`name@version`, or a path."""
    kind: Literal["own", "general", "replay"] = "own"
    """`general`: the corpus that is mixed in. `replay`: what the continued run learnt from it, mixed in again."""
    rows_in: int
    characters_in: int
    sampling_rate: float
    rows: int
    """After sampling."""
    characters: int
    share: float
    """Percentage of all characters, after sampling."""
    tokens: int | None = None
    """Estimated from a sample of the rows."""
    train: int | None = None
    """Its rows in an epoch of training, joined ones counted once; none before they are laid out."""
    validation: int | None = None
    """Its rows set aside for validation; none before they are laid out."""

    @property
    def title(self) -> str:
        """What tells it from the other parts of a recipe."""
        return self.dataset if self.kind == "own" else f"{self.dataset} ({self.kind})"


class MinimumRows(Schema):
    """The fewest rows a run may train on, and what they are held against."""

    counted: float
    minimum: int
    arithmetic: str
    """rows × rate, added up."""


class RowCounts(Schema):
    """Where the rows go."""

    sampled: int
    """After sampling, the general corpus included."""
    set_aside: int = 0
    """Rows that the split drew for validation."""
    validation: int = 0
    """Rows that validate: at most 1000, the first of those set aside or named."""
    returned: int = 0
    """Rows set aside beyond that, which went back to training."""
    train: int
    """Training rows in an epoch."""
    joined: int = 0
    """Single-turn rows that became a part of a multi-turn one."""


class Leak(Schema):
    """A training row that asks what a test row asks."""

    kind: Literal["exact", "near"]
    likeness: float
    """1 = identical except for case and spaces."""
    train: str
    """The training row's dataset."""
    train_row: int
    """Its number there, from 0."""
    test: str
    test_row: int
    excerpt: str
    """How the question begins."""


class LeakCount(Schema):
    """How many rows of one test set also appear in the training data."""

    dataset: str
    role: Literal["validation", "held_out"]
    rows: int
    exact: int = 0
    """Its rows whose question is also a training row's."""
    near: int = 0
    """Its rows whose question is almost a training row's."""
    message: str | None = None
    """The same in a sentence; none = it has no such rows."""


class LeakReport(Schema):
    """Test rows that also appear in the training data."""

    exact: int = 0
    """Test rows whose question is also a training row's."""
    near: int = 0
    """Test rows whose question is almost a training row's."""
    train_rows: int
    """Number of training rows compared."""
    test_rows: int
    complete: bool = True
    """All were."""
    tests: list[LeakCount] = Field(default_factory=list)
    """The same for each test set."""
    rows: list[Leak] = Field(default_factory=list)
    """The first of them."""


class RecipePreview(Schema):
    """What a recipe would come to. Nothing is started."""

    parts: list[RecipePart]
    rows: RowCounts
    characters: int
    tokens: int | None = None
    """Estimated from a sample of the rows; of one epoch."""
    general_tokens: int | None = None
    """What the general corpus adds to that."""
    replay_tokens: int | None = None
    """What is mixed in again of the earlier run's data adds to that."""
    minimum: MinimumRows
    leaks: LeakReport | None = None
    """None = there are no test rows."""
    notes: list[str] = Field(default_factory=list)
    recipe_hash: str
    cost: Cost | None = None
    """An estimate; none where no price is set."""


class RecipeReport(Schema):
    """What a run's rows came to, counted when they were laid out."""

    parts: list[RecipePart]
    rows: RowCounts
    leaks: LeakReport | None = None
    recipe_hash: str
    rows_hash: str
    """SHA-256 of the training rows, one a line: the same recipe gives the same."""
