"""Noise on the words' embeddings while training (NEFTune): uniform, the smaller the longer the sequence.

It knows of the model only its embedding layer.
"""

from typing import Any

import torch


class EmbeddingNoise:
    """Adds noise of strength `alpha` to what an embedding layer gives, in training mode only."""

    def __init__(self, embeddings: torch.nn.Module, alpha: float) -> None:
        self._alpha = alpha
        self._lengths_T: torch.Tensor | None = None
        embeddings.register_forward_hook(self._add)

    def lay_out(self, lengths_T: torch.Tensor | None) -> None:
        """Of the next batch: the length of the sequence that each token is of; None = it is one sequence."""
        self._lengths_T = lengths_T

    def _add(self, module: torch.nn.Module, given: Any, embedded: torch.Tensor) -> torch.Tensor:
        if not module.training:
            return embedded
        tokens, width = embedded.shape[-2:]
        lengths_T = torch.full((tokens,), tokens) if self._lengths_T is None else self._lengths_T
        strength_T = self._alpha / torch.sqrt(lengths_T * width)
        noise = torch.rand(embedded.shape) * 2 - 1
        return embedded + (noise * strength_T[:, None]).to(embedded.dtype)


def sequence_lengths(shapes: tuple[tuple[int, ...], ...]) -> torch.Tensor:
    """[T]: of each token of a batch, the length of its sequence; of a trunk's tokens, that of its first branch's."""
    sizes: list[int] = []
    counts: list[int] = []
    for trunk, *branches in shapes:
        whole = [trunk + length for length in branches] or [trunk]
        sizes += [whole[0], *whole[: len(branches)]]
        counts += [trunk, *branches]
    return torch.repeat_interleave(torch.tensor(sizes), torch.tensor(counts))
