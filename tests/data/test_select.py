"""Selection: disjoint, exact, the same every time."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.data.sampling import Sample, take
from tunery.data.select import LONGEST_VALIDATION, select_rows


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    """Up to four datasets at rates of their own."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        rows = draw(st.integers(0, 700))
        rate = draw(st.sampled_from([0.01, 0.3, 0.5, 1.0, 1.7, 2.0, 3.25]))
        found.append(take(f"set {number}", rows, rate, 0, [7] * rows))
    return found


@settings(deadline=None)
@given(
    train=samples(),
    general=st.none() | st.integers(0, 300),
    ratio=st.floats(0, 1),
    seed=st.integers(0, 2**40),
    most_train=st.integers(-1, 3000),
    most_validation=st.integers(-1, 3000),
)
def test_a_split(
    train: list[Sample], general: int | None, ratio: float, seed: int, most_train: int, most_validation: int
) -> None:
    options: dict[str, Any] = {
        "undivided": [] if general is None else [Sample.whole("general", general)],
        "validation_split_ratio": ratio,
        "train_data_split_seed": seed,
        "max_train_samples": most_train,
        "max_val_samples": most_validation,
    }
    chosen = select_rows(train, **options)
    assert as_lists(chosen) == as_lists(select_rows(train, **options))
    distinct = sum(len(sample.distinct) for sample in train)
    drawn = 0 if ratio == 0 or distinct < 2 else max(1, min(round(distinct * ratio), distinct - 1))
    assert chosen.set_aside == drawn
    assert chosen.validation_rows == min(
        drawn, LONGEST_VALIDATION, most_validation if most_validation >= 0 else drawn
    )
    copies_left = sum(
        count
        for sample, validating in zip(train, chosen.validation, strict=True)
        for row, count in Counter(sample.numbers()).items()
        if row not in set(validating)
    ) + (general or 0)
    assert chosen.train_rows == (copies_left if most_train < 0 else min(copies_left, most_train))
    for sample, training, validating in zip(train, chosen.train, chosen.validation, strict=False):
        assert not set(training) & set(validating)
        assert list(validating) == sorted(set(validating) & set(sample.distinct))
        assert not Counter(training) - Counter(sample.numbers())


@settings(deadline=None)
@given(train=samples(), ratio=st.floats(0.01, 0.9), most=st.integers(1, 500))
def test_the_place_in_the_list_decides_nothing(train: list[Sample], ratio: float, most: int) -> None:
    options: dict[str, Any] = {"validation_split_ratio": ratio, "max_train_samples": most}
    there, back = select_rows(train, **options), select_rows(train[::-1], **options)
    assert [list(rows) for rows in there.train] == [list(rows) for rows in back.train][::-1]
    assert [list(rows) for rows in there.validation] == [list(rows) for rows in back.validation][::-1]


@settings(deadline=None)
@given(size=st.integers(0, 3000), most=st.integers(-1, 2000), ratio=st.floats(0, 0.9))
def test_a_named_validation_set_is_used_from_its_start(size: int, most: int, ratio: float) -> None:
    chosen = select_rows(
        [Sample.whole("own", 10)], named_validation=size, validation_split_ratio=ratio, max_val_samples=most
    )
    assert [list(rows) for rows in chosen.train] == [list(range(10))]
    assert list(chosen.named_validation) == list(range(min(size, 1000, most if most >= 0 else size)))
    assert chosen.validation == [()]


def test_a_large_split_gives_the_rest_back() -> None:
    chosen = select_rows([Sample.whole("own", 10_000)], validation_split_ratio=0.2)
    assert (chosen.set_aside, chosen.validation_rows, chosen.train_rows) == (2000, 1000, 9000)


def test_another_seed_draws_other_rows() -> None:
    first, second = (
        select_rows(
            [Sample.whole("own", 1000)], validation_split_ratio=0.1, train_data_split_seed=seed
        ).validation
        for seed in (1, 2)
    )
    assert first != second


def test_a_limit_keeps_the_mix() -> None:
    chosen = select_rows(
        [Sample.whole("large", 9000), Sample.whole("small", 1000)],
        undivided=[Sample.whole("general", 2000)],
        max_train_samples=120,
    )
    assert [len(rows) for rows in chosen.train] == [90, 10, 20]


def as_lists(chosen: Any) -> list[list[int]]:
    return [list(rows) for rows in (*chosen.train, *chosen.validation, chosen.named_validation)]
