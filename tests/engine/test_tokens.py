"""Rows become tokens when they are needed, lie in a file, and are kept for later runs under what they follow from."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import toys
from tests.toys import toy_model, toy_preferences, toy_rows
from tunery.core.errors import Problem
from tunery.core.files import prune_folders
from tunery.data.arrow import read_arrow, write_arrow
from tunery.data.example import Example
from tunery.data.rows import encode_row
from tunery.engine.inputs import TrainInputs, read_train_inputs
from tunery.engine.token_cache import TokenCache, key_of
from tunery.engine.tokens import TokenStore, nameless, open_store, tokenize
from tunery.schemas.engine import EngineInput, EngineSpec


def given_inputs(
    folder: Path, base: Path, method: str = "sft", **more: Any
) -> tuple[TrainInputs, list[Path]]:
    attempt = toys.attempt(folder, base, method=method, **more)
    given = EngineInput.model_validate(attempt.read_attempt())
    return read_train_inputs(EngineSpec.model_validate(attempt.read_spec()), given), [
        Path(p) for p in given.train
    ]


def new_store(inputs: TrainInputs, aside: Path) -> TokenStore:
    return open_store(inputs.train, inputs.method, inputs.renderer, inputs.settings, nameless(aside))


def content(store: TokenStore) -> dict[int, list[Any]]:
    """What each row became."""
    found: dict[int, list[Any]] = {}
    for index in range(len(store)):
        piece = store.example(index)
        found.setdefault(store.row(index), []).append(
            (piece.tokens.tolist(), piece.supervised.tolist(), piece.branches, piece.label)
        )
    return found


@pytest.mark.parametrize("method", ["sft", "pretrain", "orpo", "kto"])
def test_any_order_gives_the_same_examples(base: Path, tmp_path: Path, method: str) -> None:
    inputs, _ = given_inputs(tmp_path, base, method, max_sequence_length=16)
    whole = tokenize(inputs.train, inputs.method, inputs.renderer, inputs.settings, tmp_path)
    other = new_store(inputs, tmp_path)
    rows = np.random.default_rng(0).permutation(len(inputs.train)).tolist()
    for row in [*rows[:20], *rows[:5]]:
        other.need([row])
    assert not other.complete
    other.need(rows)
    assert other.complete
    assert content(other) == content(whole)
    assert other.counts == whole.counts
    assert whole.lengths.sum() == whole.counts.tokens


@pytest.mark.parametrize("method", ["sft", "pretrain", "orpo", "kto"])
def test_what_is_kept_is_what_was_made(base: Path, tmp_path: Path, method: str) -> None:
    inputs, files = given_inputs(tmp_path / "run", base, method, max_sequence_length=16)
    cache, key = TokenCache(tmp_path / "cache"), key_of(inputs, files)
    assert cache.find(key, len(inputs.train)) is None
    made = new_store(inputs, tmp_path)
    made.need(np.random.default_rng(0).permutation(len(inputs.train)).tolist())
    cache.keep(key, made)
    cache.settle()
    found = cache.find(key, len(inputs.train))
    assert found is not None
    assert found.complete
    assert content(found) == content(made)
    assert found.counts == made.counts
    # Plans go by the numbers of examples: those follow the rows, whatever the order they were made in.
    in_order = tokenize(inputs.train, inputs.method, inputs.renderer, inputs.settings, tmp_path)
    assert found.lengths.tolist() == in_order.lengths.tolist()
    assert [found.row(n) for n in range(len(found))] == [in_order.row(n) for n in range(len(in_order))]
    assert found.need(range(found.rows)) == in_order.need(range(in_order.rows))


def test_the_key_follows_what_shapes_examples(base: Path, tmp_path: Path) -> None:
    def key(name: str, base: Path = base, **more: Any) -> str:
        return key_of(*given_inputs(tmp_path / name, base, **more))

    same = key("a")
    assert key("b", learning_rate=1e-4, epochs=3, seed=9, batch_size=2, packing=True) == same
    others = [
        key("limit", max_sequence_length=32),
        key("joined", pseudo_multi_turn_probability=0.5),
        key("rows", rows=toy_rows("sft", 63)),
        key("method", method="orpo", rows=toy_preferences(64)),
    ]
    changed = toy_model(tmp_path / "changed")
    (changed / "chat_template.jinja").write_text((base / "chat_template.jinja").read_text() + " ")
    others.append(key("template", base=changed))
    assert len({same, *others}) == 6


def test_a_template_that_writes_the_date_gets_a_key_of_its_day(base: Path, tmp_path: Path) -> None:
    dated = toy_model(tmp_path / "dated")
    (dated / "chat_template.jinja").write_text(
        "{{ strftime_now('%d') }}" + (base / "chat_template.jinja").read_text()
    )

    def keys(model: Path) -> set[str]:
        found = set()
        for day in (1, 2):
            attempt = toys.attempt(tmp_path / f"{model.name}-{day}", model)
            given = EngineInput.model_validate(attempt.read_attempt())
            spec = EngineSpec.model_validate({**attempt.read_spec(), "created": day * 86_400_000_000})
            found.add(key_of(read_train_inputs(spec, given), [Path(p) for p in given.train]))
        return found

    assert len(keys(base)) == 1
    assert len(keys(dated)) == 2


@pytest.mark.parametrize("harm", ["cut", "no meta", "other rows", "no column"])
def test_what_is_not_as_it_was_written_is_as_good_as_absent(base: Path, tmp_path: Path, harm: str) -> None:
    inputs, files = given_inputs(tmp_path / "run", base)
    cache, key = TokenCache(tmp_path / "cache"), key_of(inputs, files)
    store = new_store(inputs, tmp_path)
    store.fill()
    cache.keep(key, store)
    cache.settle()
    place = tmp_path / "cache" / key
    if harm == "cut":
        os.truncate(place / "tokens.bin", 100)
    elif harm == "no meta":
        (place / "meta.json").unlink()
    elif harm == "other rows":
        meta = json.loads((place / "meta.json").read_text())
        (place / "meta.json").write_text(json.dumps({**meta, "rows": 1}))
    else:
        (place / "lengths.npy").write_bytes(b"")
    assert cache.find(key, len(inputs.train)) is None


def test_keeping_twice_leaves_one(base: Path, tmp_path: Path) -> None:
    inputs, files = given_inputs(tmp_path / "run", base)
    cache, key = TokenCache(tmp_path / "cache"), key_of(inputs, files)
    store = new_store(inputs, tmp_path)
    store.fill()
    for _ in range(2):
        cache.keep(key, store)
        cache.settle()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [key]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "middle", "old"]):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tokens.bin").write_bytes(bytes(100))
        os.utime(folder, (1000 - age, 1000 - age))
    prune_folders(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["middle", "new"]
    prune_folders(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []
    prune_folders(tmp_path / "nowhere", 0)


def test_rows_without_anything_to_learn(base: Path, tmp_path: Path) -> None:
    def make(row: int) -> Iterator[Example]:
        yield Example([1, 2, 3], [False, row == 2, row == 2])

    store = TokenStore(nameless(tmp_path), 3, make)
    assert store.need([0, 1]) == []
    store.refuse_nothing()  # there may be something yet
    assert store.need([0, 2, 1]) == [0]
    assert store.counts.dropped == 2
    nothing = TokenStore(nameless(tmp_path), 2, lambda row: make(0))
    nothing.fill()
    with pytest.raises(Problem, match="2 rows"):
        nothing.refuse_nothing()


def test_memory_hardly_grows_with_the_rows(base: Path, tmp_path: Path) -> None:
    """What reading 300 rows and 30,000 adds to this process's memory; the files of the latter hold 20 MB and more."""
    added: dict[int, int] = {}
    for count in (300, 30_000):
        path = tmp_path / f"{count}.arrow"
        write_arrow(path, (encode_row(row) for row in toy_rows("sft", 300) * (count // 300)))
        rows = read_arrow(path)
        before = resident()

        def make(row: int, rows: Any = rows) -> Iterator[Example]:
            size = len(rows[row].messages) + 200
            yield Example([7] * size, [False] + [True] * (size - 1))

        store = TokenStore(nameless(tmp_path), count, make)
        store.fill()
        for index in range(len(store)):
            store.example(index)
        added[count] = resident() - before
    assert store.counts.tokens * 4 > 20 * 2**20
    assert added[30_000] - added[300] < 10 * 2**20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
