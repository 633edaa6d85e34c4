"""What the model said before training, of every answer, asked once: each epoch then compares without asking again.

It knows neither the method nor how the untrained model is kept.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from tunery.engine.batches import Batch, Group, collate, token_groups
from tunery.engine.tokens import TokenStore

_TOKENS = 4096


def with_reference(
    store: TokenStore,
    ask: Callable[[Batch], torch.Tensor],
    tick: Callable[[int, int], None],
    leave: Callable[[], bool],
) -> TokenStore | None:
    """The store with the log-likelihood of each of its branches; None where `leave()` turned true.

    Batches follow from the lengths alone, so that asking again gives the same numbers.
    """
    found: list[np.ndarray] = []
    done = 0
    for group in asked_together(store):
        if leave():
            return None
        found.append(ask(collate(store, group)).numpy())
        done += len(group)
        tick(done, len(store))
    store.reference = np.concatenate(found)
    return store


def asked_together(store: TokenStore) -> Iterator[Group]:
    """The examples, as many at a time as are asked at once."""
    return token_groups(store.lengths, _TOKENS)


def known(store: TokenStore, saved: torch.Tensor | None) -> TokenStore:
    """The store with what an earlier attempt was told, where that is of these rows."""
    if saved is not None and len(saved) == store.branches:
        store.reference = saved.numpy()
    return store
