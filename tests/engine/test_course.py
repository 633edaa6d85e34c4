"""Training begins before all rows are tokens, hardly ever waits for them, and comes to the same whoever made them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Engines, events, losses
from tests.patience import PATIENCE
from tests.toys import attempt, toy_conversations
from tunery.core.attempt import AttemptFolder
from tunery.data.rows import Conversation, Message
from tunery.engine.feed import Feed, Planned

SHORT: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "learning_rate": 2e-3,
    "lora_dropout": 0.2,
    "lr_scheduler": "cosine",
    "warmup_ratio": 0.2,
}


def adapter(folder: AttemptFolder) -> bytes:
    return (folder.output / "adapter_model.safetensors").read_bytes()


def started(folder: AttemptFolder) -> dict[str, Any]:
    return events(folder, "started")[0]


@pytest.mark.parametrize("packing", [False, True], ids=["rows", "packed"])
def test_kept_tokens_train_the_same(engines: Engines, base: Path, tmp_path: Path, packing: bool) -> None:
    settings = {**SHORT, "packing": packing}
    if packing:
        settings["max_sequence_length"] = 64
    runs = [attempt(tmp_path / name, base, tokens=tmp_path / "kept", **settings) for name in ("a", "b")]
    results = [engines.run(run) for run in runs]
    assert [one["status"] for one in results] == ["succeeded", "succeeded"]
    assert losses(runs[0]) == losses(runs[1])
    assert adapter(runs[0]) == adapter(runs[1])
    # The first knew its tokens beforehand only where the plan needs them all; the second always does.
    assert (started(runs[0])["tokens"] is None) is not packing
    assert started(runs[1])["tokens"] * 2 == results[1]["tokens"] == results[0]["tokens"]
    assert all(0 <= one["data_wait_share"] < 1 for one in results)


def test_a_few_steps_need_only_their_rows(engines: Engines, base: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    run = attempt(tmp_path / "run", base, tokens=kept, rows=toy_conversations(300), max_steps=2, **SHORT)
    assert engines.run(run)["steps"] == 2
    assert not kept.exists()


def mute(count: int) -> list[Conversation]:
    """Rows whose answer lies beyond the limit."""
    long = Message.of("user", "What is the red house? " * 30)
    return [Conversation((long, Message.of("assistant", "Red."))) for _ in range(count)]


def test_steps_without_anything_to_learn_are_passed_over(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    rows = [*toy_conversations(6), *mute(42)]
    settings = {**SHORT, "batch_size": 1, "gradient_accumulation_steps": 1, "max_sequence_length": 48}
    run = attempt(tmp_path / "run", base, rows=rows, logging_steps=1, **settings)
    result = engines.run(run)
    assert (result["status"], result["steps"]) == ("succeeded", 96)
    assert len(losses(run)) == 12
    (told,) = events(run, "tokenized")
    assert (told["dropped_rows"], told["tokens"] * 2) == (42, result["tokens"])
    assert started(run)["tokens"] is None
    assert any("42 rows contain nothing" in one["message"] for one in events(run, "log"))


def test_nothing_to_learn_at_all_is_said(engines: Engines, base: Path, tmp_path: Path) -> None:
    run = attempt(tmp_path / "run", base, rows=mute(12), **{**SHORT, "max_sequence_length": 48})
    error = engines.run(run)["error"]
    assert error["code"] == "no_supervised_tokens"


def planned(count: int) -> Iterator[Planned]:
    for at in range(count):
        yield Planned(0, at, [[at]], count)


def test_the_feed_keeps_the_order_and_stays_a_little_ahead() -> None:
    made: list[int] = []
    ahead = threading.Event()

    def make(one: Planned) -> list[Any]:
        made.append(one.first)
        if len(made) == 4:  # three that are ready, one in its hands
            ahead.set()
        return []

    with Feed(planned(50), make) as feed:
        assert ahead.wait(PATIENCE)
        assert len(made) == 4
        assert [feed.next()[0].first for _ in range(50)] == list(range(50))
        with pytest.raises(StopIteration):
            feed.next()


def test_what_making_a_batch_raises_reaches_the_training() -> None:
    def make(one: Planned) -> list[Any]:
        if one.first == 2:
            raise ValueError("a bad row")
        return []

    with Feed(planned(9), make) as feed:
        assert [feed.next()[0].first, feed.next()[0].first] == [0, 1]
        with pytest.raises(ValueError, match="a bad row"):
            feed.next()


def test_leaving_early_ends_the_thread() -> None:
    with Feed(planned(10**9), lambda one: []) as feed:
        feed.next()
    assert not any(thread.name == "feed" for thread in threading.enumerate())
