"""Every example is met exactly once an epoch, in an order that the seed decides."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.engine.batches import plan_epoch


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=400),
    seed=st.integers(0, 5),
    batch_size=st.integers(1, 9),
    pack_to=st.sampled_from([None, 64, 300]),
)
@settings(max_examples=60, deadline=None)
def test_each_example_once(lengths: list[int], seed: int, batch_size: int, pack_to: int | None) -> None:
    sizes = np.array(lengths)
    plan = plan_epoch(sizes, seed=seed, epoch=0, batch_size=batch_size, pack_to=pack_to)
    assert sorted(index for group in plan for index in group) == list(range(len(lengths)))
    again = plan_epoch(sizes, seed=seed, epoch=0, batch_size=batch_size, pack_to=pack_to)
    assert plan == again
    for group in plan:
        if pack_to is None:
            assert len(group) <= batch_size
        else:
            assert len(group) == 1 or sum(lengths[index] for index in group) <= pack_to * batch_size


def test_packing_fills_its_budget() -> None:
    lengths = np.random.default_rng(0).integers(20, 400, 3000)
    plan = plan_epoch(lengths, seed=1, epoch=0, batch_size=1, pack_to=1024)
    assert lengths.sum() / (1024 * len(plan)) > 0.95


def test_epochs_differ() -> None:
    lengths = np.full(50, 10)
    first, second = (plan_epoch(lengths, seed=1, epoch=epoch, batch_size=4, pack_to=None) for epoch in (0, 1))
    assert first != second


@given(count=st.integers(1, 40), batch_size=st.integers(2, 5), pack_to=st.sampled_from([None, 64]))
@settings(max_examples=40, deadline=None)
def test_no_batch_is_smaller_than_asked(count: int, batch_size: int, pack_to: int | None) -> None:
    lengths = np.random.default_rng(count).integers(20, 64, count)
    plan = plan_epoch(lengths, seed=0, epoch=0, batch_size=batch_size, pack_to=pack_to, at_least=2)
    assert sorted(index for group in plan for index in group) == list(range(count))
    assert all(len(group) >= min(2, count) for group in plan)
