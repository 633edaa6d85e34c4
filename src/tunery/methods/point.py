"""The extension point of training methods.

A method's module may be read where torch isn't installed: it meets torch only inside `loss`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tunery.core.extensions import Point
from tunery.data.example import Example, branched
from tunery.data.rows import Conversation, Labelled, Message, Preference, Row
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings

UNCUT = 2**31 - 1
"""A limit that no row reaches."""

Need = Literal["reference", "mismatched", "score"]
"""What a method asks of the engine beyond likelihoods. reference: what the model said before training. mismatched:
batches of at least two examples, and the reference for prompts with the answer to another. score: a head that
gives a whole sequence one number, in the place of the output layer."""


class Renderer(Protocol):
    """Turns rows into examples by a model's tokenizer and chat template."""

    def conversation(self, row: Any, limit: int) -> Example:
        """Supervised: every assistant turn with its end marker."""
        ...

    def text(self, text: str, limit: int) -> Iterator[Example]:
        """Supervised: everything but the first token. Text longer than `limit` becomes several examples."""
        ...


class Batch(Protocol):
    """Examples laid end to end, without padding: T tokens in S sequences, N of the tokens supervised.

    A plain example is one sequence, one with branches as many as it has branches.
    """

    @property
    def supervised(self) -> int:
        """N, the number of supervised tokens."""
        ...

    @property
    def examples(self) -> int:
        """How many examples it holds."""
        ...

    @property
    def labels(self) -> tuple[bool | None, ...]:
        """The label of each example."""
        ...

    @property
    def branches(self) -> tuple[int, ...]:
        """How many branches each example has."""
        ...

    @property
    def in_branch_N(self) -> Any:
        """Whether each supervised token stands in a branch."""
        ...

    def by_sequence(self, values_N: Any) -> Any:
        """Sums over each of the S sequences of what is given for its supervised tokens."""
        ...

    def mismatched(self, limit: int) -> "Batch":
        """What stands before each example's branches, with the first branch of the example before it."""
        ...


class Policy(Protocol):
    """The model in training."""

    def nll(self, batch: Any) -> Any:
        """Sum over the N supervised tokens of their negative log-likelihood: a scalar tensor, in nats."""
        ...

    def token_nll(self, batch: Any, *, alike: bool = False) -> Any:
        """The same for each of them: a tensor [N]. `alike` promises that the loss will be their sum or a multiple of
        it, which takes less memory."""
        ...

    def reference(self, batch: Any) -> Any:
        """Log-likelihood of each of the S sequences before training; where the method needs a `reference`."""
        ...

    def scores(self, batch: Any) -> Any:
        """The head's number for each of the S sequences; where the method needs a `score`."""
        ...


@dataclass(frozen=True)
class Loss:
    """What a batch comes to: the step's loss is the sum over all batches and ranks of both, divided."""

    total: Any
    """Sum of the loss: a scalar tensor."""
    weight: int
    """Over how much it is the sum: tokens, rows …"""
    metrics: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """What else is worth a curve, by name: its sum, and over how much."""
    by_example: tuple[Any, Any] | None = None
    """What each example adds to `total`, and to `weight`: two tensors, one entry an example. For the curves of the
    datasets; without it there are none."""


class Method(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int
    TITLE: str
    HELP: str
    TAKES: frozenset[RowKind]
    """Kinds of rows it learns from."""
    NEEDS: frozenset[Need]
    """What it asks of the engine beyond likelihoods."""
    Settings: type[TrainingSettings]

    def recommended(self, finetuning_type: str) -> Preset:
        """Values that work for most data, by setting name."""
        ...

    def examples(self, row: Row, renderer: Renderer, settings: Any) -> Iterator[Example]:
        """What one row becomes. Of the common settings it may look at `max_sequence_length` only: tokens are kept for
        other runs, under what they follow from."""
        ...

    def loss(self, settings: Any, policy: Policy, batch: Any) -> Loss:
        """What is to be made small, over one batch."""
        ...


def gives_one_example(method: Method) -> bool:
    """Whether a method says, by `ONE_EXAMPLE = True`, that a row gives it one example or none.

    Then training begins before all rows are tokens.
    """
    return getattr(method, "ONE_EXAMPLE", False)


METHODS: Point[Method] = Point("tunery.methods", "training method", api_version=1)


def of_words(policy: Policy, batch: Batch) -> Loss:
    """The negative log-likelihood of all supervised tokens, of examples without branches."""
    nll_N = policy.token_nll(batch, alike=True)
    each_N = nll_N.detach()
    by_example = (batch.by_sequence(each_N), batch.by_sequence(each_N.new_ones(len(each_N))))
    return Loss(nll_N.sum(), batch.supervised, by_example=by_example)


def of_rows(loss_E: Any, metrics: Mapping[str, tuple[float, int]]) -> Loss:
    """Losses of examples that weigh alike."""
    each_E = loss_E.detach()
    return Loss(loss_E.sum(), len(each_E), metrics, (each_E, each_E.new_ones(len(each_E))))


def writes_text(method: str) -> bool:
    """Whether a model trained by a method answers in words; one with a head for scores doesn't."""
    return method not in METHODS.names() or "score" not in METHODS.load(method).NEEDS


def learns_words(method: str) -> bool:
    """Whether a method's loss is that of words: the mean negative log-likelihood of a token."""
    return method in METHODS.names() and METHODS.load(method).TAKES.issubset({"conversation", "text"})


def answers(
    row: Preference | Labelled,
    renderer: Renderer,
    limit: int,
    *,
    learn_prompt: bool = False,
    best_and_worst: bool = False,
) -> Example | None:
    """A question with its answers as branches, the best first; None where an answer lies beyond `limit`.

    Of ranked answers all, or the first and the last.
    """
    if isinstance(row, Labelled):
        talks: list[tuple[Message, ...]] = [row.messages]
    else:
        chosen = (row.chosen, row.rejected) if best_and_worst else row.answers
        talks = [(*row.messages, answer) for answer in chosen]
    wholes = [renderer.conversation(Conversation(talk, row.tools), UNCUT) for talk in talks]
    label = row.label if isinstance(row, Labelled) else None
    return branched(wholes, limit, label=label, learn_prompt=learn_prompt)


def rewards(chosen: Any, rejected: Any) -> dict[str, tuple[float, int]]:
    """Metrics of better and worse answers' rewards (tensors, one entry a pair)."""
    margin = chosen - rejected
    count = len(chosen)
    return {
        "rewards/chosen": (float(chosen.sum()), count),
        "rewards/rejected": (float(rejected.sum()), count),
        "rewards/margin": (float(margin.sum()), count),
        "rewards/accuracy": (float((margin > 0).sum()), count),
    }
