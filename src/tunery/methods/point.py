"""The extension point of training methods.

A method's module may be read where torch isn't installed: it meets torch only inside `loss`.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from tunery.core.extensions import Point
from tunery.data.example import Example
from tunery.data.rows import Row
from tunery.schemas.dataset import RowKind
from tunery.schemas.settings import Preset, TrainingSettings


class Renderer(Protocol):
    """Turns rows into examples by a model's tokenizer and chat template."""

    def conversation(self, row: Any, limit: int) -> Example:
        """Supervised: every assistant turn with its end marker."""
        ...

    def text(self, text: str, limit: int) -> Iterator[Example]:
        """Supervised: everything but the first token. Text longer than `limit` becomes several examples."""
        ...


class Batch(Protocol):
    """Examples laid end to end, without padding. T tokens in S segments; N of the tokens supervised."""

    @property
    def supervised(self) -> int:
        """N, the number of supervised tokens."""
        ...


class Policy(Protocol):
    """The model in training."""

    def nll(self, batch: Any) -> Any:
        """Sum over the N supervised tokens of their negative log-likelihood: a scalar tensor, in nats."""
        ...


class Method(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int
    TITLE: str
    HELP: str
    TAKES: frozenset[RowKind]
    """Kinds of rows it learns from."""
    Settings: type[TrainingSettings]

    def recommended(self, finetuning_type: str) -> Preset:
        """Values that work for most data, by setting name."""
        ...

    def examples(self, row: Row, renderer: Renderer, settings: Any) -> Iterator[Example]:
        """What one row becomes."""
        ...

    def loss(self, settings: Any, policy: Policy, batch: Any) -> tuple[Any, int]:
        """(sum of the loss, its weight): the step's loss is the sum over all batches and ranks of both, divided."""
        ...


METHODS: Point[Method] = Point("tunery.methods", "training method", api_version=1)
