"""Sampling rates: whole copies, and a random part with as many characters as the rate's fraction says."""

from collections import Counter
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.data.sampling import apportion, rates_of_shares, take

sizes = st.lists(st.integers(1, 5000), max_size=400)
rates = st.integers(1, 1000).map(lambda hundredths: hundredths / 100)


@settings(deadline=None)
@given(sizes=sizes, rate=rates, seed=st.integers(0, 2**50))
def test_copies_and_the_characters_of_the_rest(sizes: list[int], rate: float, seed: int) -> None:
    sample = take("key", len(sizes), rate, seed, sizes)
    counts = Counter(sample.numbers())
    copies = floor(rate + 1e-9)
    assert all(counts[row] in (copies, copies + 1) for row in range(len(sizes)))
    assert len(sample) == counts.total()
    taken = sum(sizes[row] * count for row, count in counts.items())
    assert abs(taken - rate * sum(sizes)) <= max(sizes, default=0) + 1e-6
    assert sorted(set(counts)) == list(sample.distinct)


@settings(max_examples=20, deadline=None)
@given(fraction=st.floats(0.05, 0.95), sizes=st.lists(st.integers(1, 100), min_size=5, max_size=12))
def test_no_size_is_favoured_in_the_long_run(fraction: float, sizes: list[int]) -> None:
    """Over many seeds the characters taken are the fraction, though one draw of a few rows can't hit it."""
    draws = 400
    taken = [
        sum(sizes[row] for row in take("k", len(sizes), fraction, seed, sizes).subset)
        for seed in range(draws)
    ]
    mean = sum(taken) / draws
    assert abs(mean - fraction * sum(sizes)) < 4 * max(sizes) / draws**0.5


def test_a_draw_follows_from_seed_and_content() -> None:
    def draw(key: str, seed: int) -> list[int]:
        return list(take(key, 1000, 0.3, seed, [9] * 1000).subset)

    assert draw("a", 1) == draw("a", 1)
    assert draw("a", 1) != draw("a", 2)
    assert draw("a", 1) != draw("b", 1)


def test_a_large_dataset_is_drawn_in_windows() -> None:
    rows = 200_000
    sample = take("k", rows, 2.25, 7, (10 + row % 7 for row in range(rows)))
    assert sample.copies == 2
    total = sum(10 + row % 7 for row in range(rows))
    assert abs(sum(10 + row % 7 for row in sample.subset) - total / 4) <= 16
    halves = Counter(row < rows // 2 for row in sample.subset)
    assert abs(halves[True] - halves[False]) < 1000


@settings(deadline=None)
@given(
    total=st.integers(0, 5000), sizes=st.lists(st.integers(0, 900), min_size=1, max_size=6), data=st.data()
)
def test_parts_add_up_and_stay_with_their_owner(total: int, sizes: list[int], data: st.DataObject) -> None:
    keys = [str(number) for number in range(len(sizes))]
    quotas = apportion(total, sizes, keys)
    assert sum(quotas) == min(total, sum(sizes))
    assert all(0 <= quota <= size for quota, size in zip(quotas, sizes, strict=True))
    order = data.draw(st.permutations(range(len(sizes))))
    moved = apportion(total, [sizes[at] for at in order], [keys[at] for at in order])
    assert [quotas[at] for at in order] == moved


@settings(deadline=None)
@given(
    characters=st.lists(st.integers(1000, 10**7), min_size=2, max_size=5),
    weights=st.lists(st.integers(1, 50), min_size=5, max_size=5),
)
def test_rates_give_the_shares_they_are_made_from(characters: list[int], weights: list[int]) -> None:
    weights = weights[: len(characters)]
    shares = [100 * weight / sum(weights) for weight in weights]
    rates = rates_of_shares(characters, [1.0] * len(characters), shares)
    taken = [rate * size for rate, size in zip(rates, characters, strict=True)]
    assert all(abs(100 * size / sum(taken) - share) < 1e-6 for size, share in zip(taken, shares, strict=True))
    assert abs(sum(taken) - sum(characters)) < 1e-3
    one = rates_of_shares(characters, [1.0] * len(characters), [shares[0], *[None] * (len(characters) - 1)])
    assert one[1:] == [1.0] * (len(characters) - 1)
    taken = [rate * size for rate, size in zip(one, characters, strict=True)]
    assert abs(100 * taken[0] / sum(taken) - shares[0]) < 1e-6
