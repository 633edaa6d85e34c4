"""Selection: disjoint, exact, the same every time."""

from hypothesis import given
from hypothesis import strategies as st

from tunery.data.select import LONGEST_VALIDATION, select_rows

lists = st.lists(st.integers(0, 900), max_size=4).map(
    lambda sizes: [list(range(100 * number, 100 * number + 3 * size, 3)) for number, size in enumerate(sizes)]
)


@given(
    train=lists,
    ratio=st.floats(0, 0.999),
    seed=st.integers(0, 2**40),
    most_train=st.integers(-1, 3000),
    most_validation=st.integers(-1, 3000),
)
def test_a_split(
    train: list[list[int]], ratio: float, seed: int, most_train: int, most_validation: int
) -> None:
    def select() -> object:
        return select_rows(
            train,
            validation_split_ratio=ratio,
            train_data_split_seed=seed,
            max_train_samples=most_train,
            max_val_samples=most_validation,
        )

    chosen = select_rows(
        train,
        validation_split_ratio=ratio,
        train_data_split_seed=seed,
        max_train_samples=most_train,
        max_val_samples=most_validation,
    )
    assert chosen == select()
    total = sum(map(len, train))
    drawn = 0 if ratio == 0 or total < 2 else max(1, min(round(total * ratio), total - 1))
    validating = min(drawn, LONGEST_VALIDATION, most_validation if most_validation >= 0 else drawn)
    training = total - validating
    assert chosen.set_aside == drawn
    assert chosen.validation_rows == validating
    assert chosen.train_rows == (training if most_train < 0 else min(training, most_train))
    for rows, for_training, for_validation in zip(train, chosen.train, chosen.validation, strict=True):
        assert not set(for_training) & set(for_validation)
        assert for_training == sorted(set(for_training) & set(rows))
        assert for_validation == sorted(set(for_validation) & set(rows))


@given(size=st.integers(0, 3000), most=st.integers(-1, 2000), ratio=st.floats(0, 0.9))
def test_a_named_validation_set_is_used_from_its_start(size: int, most: int, ratio: float) -> None:
    train = [list(range(10))]
    chosen = select_rows(
        train, named_validation=range(size), validation_split_ratio=ratio, max_val_samples=most
    )
    assert chosen.train == train
    assert chosen.named_validation == list(range(min(size, 1000, most if most >= 0 else size)))
    assert chosen.validation == [[]]


def test_a_large_split_gives_the_rest_back() -> None:
    chosen = select_rows([range(10_000)], validation_split_ratio=0.2)
    assert (chosen.set_aside, chosen.validation_rows, chosen.train_rows) == (2000, 1000, 9000)


def test_another_seed_draws_other_rows() -> None:
    first, second = (
        select_rows([range(1000)], validation_split_ratio=0.1, train_data_split_seed=seed).validation
        for seed in (1, 2)
    )
    assert first != second
