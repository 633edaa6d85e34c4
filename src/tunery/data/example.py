"""What a model is trained on: tokens, and which of them are learnt."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A token sequence and which of its tokens are learnt from."""

    tokens: Sequence[int]
    supervised: Sequence[bool]
    """supervised[i]: the model learns to predict tokens[i] from those before it. supervised[0] is always False."""
    cut: bool = False
    """It was longer than max_sequence_length."""
