"""An estimate: its arithmetic exactly, and what it says of a real training as closely as a busy machine lets one."""

from pathlib import Path

import pytest

from tests.engine.conftest import Engines, events
from tests.toys import attempt, toy_conversations
from tunery.engine.forecast import LEAST_ABOVE, LEAST_BELOW, first_meetings, memory_of, seconds_of
from tunery.schemas.estimate import EstimateResult, Probe
from tunery.schemas.run import TrainResult

SETTINGS = {"batch_size": 4, "gradient_accumulation_steps": 2, "epochs": 3, "finetuning_type": "full"}


def probes(*pairs: tuple[int, float]) -> list[Probe]:
    return [Probe(tokens=tokens, seconds=seconds) for tokens, seconds in pairs]


def test_batches_that_lie_on_a_line_are_told_exactly() -> None:
    found = seconds_of(probes((100, 1.2), (200, 2.2), (400, 4.2)), [100, 300, 300])
    assert found.value == pytest.approx(0.2 * 3 + 0.01 * 700)
    assert found.low == pytest.approx(found.value * (1 - LEAST_BELOW))
    assert found.high == pytest.approx(found.value * (1 + LEAST_ABOVE))


def test_the_band_is_as_wide_as_the_probes_disagree() -> None:
    calm = seconds_of(probes((100, 1.0), (200, 2.0)), [100] * 10)
    rough = seconds_of(probes((100, 0.6), (100, 1.4), (200, 1.2), (200, 2.8)), [100] * 10)
    assert rough.value == pytest.approx(calm.value)
    assert rough.high - rough.value > 2 * (calm.high - calm.value)
    assert 0 < rough.low < calm.low


def test_neither_a_batch_nor_a_token_costs_less_than_nothing() -> None:
    assert seconds_of(probes((100, 0.5), (200, 2.0)), [10]).value == pytest.approx(10 * 2.5 / 300)
    assert seconds_of(probes((100, 2.0), (200, 1.0)), [1000]).value == pytest.approx(1.5)
    assert seconds_of(probes((100, 1.0), (100, 3.0)), [200]).value == pytest.approx(4.0)


def test_memory_lies_around_the_peak_that_was_seen() -> None:
    found = memory_of(1000.0)
    assert found.low < found.value == 1000.0 < found.high


def test_saving_may_need_more_than_the_longest_batch() -> None:
    assert memory_of(1000.0, held_mb=900.0, saving_mb=50.0).value == 1000.0
    found = memory_of(1000.0, held_mb=900.0, saving_mb=400.0)
    assert found.value == 1300.0
    assert found.high > 1400.0, "what a batch gave back may be of no use"


def test_each_shape_costs_more_when_it_is_met_for_the_first_time() -> None:
    first, later = probes((100, 5.0), (50, 1.5), (20, 1.3)), probes((100, 2.0), (50, 1.0), (20, 1.0))
    # 3.0 once, then the middle one of 0.5 and 0.3 for each further shape: 64 tokens, and none is new.
    assert first_meetings(first, later, [100, 50, 20, 60], 64) == pytest.approx(3.0 + 0.4)
    assert first_meetings(first, later, [100, 50, 130, 20], 64) == pytest.approx(3.0 + 2 * 0.4)
    assert first_meetings(first, [], [100], 64) == 0.0


@pytest.mark.parametrize("more", [{}, {"packing": True, "max_sequence_length": 128}, {"max_steps": 5}])
def test_tokens_and_steps_are_those_of_the_training(
    engines: Engines, base: Path, tmp_path: Path, more: dict[str, int]
) -> None:
    settings = {**SETTINGS, **more}
    rows = toy_conversations(50)
    asked = attempt(tmp_path / "asked", base, rows=rows, kind="estimate", **settings)
    found = EstimateResult.model_validate(engines.run(asked))
    assert found.status == "succeeded", found.error
    assert not asked.output.exists()
    assert list(asked.checkpoints.glob("*")) == []
    done = attempt(tmp_path / "done", base, rows=rows, **settings)
    real = TrainResult.model_validate(engines.run(done))
    assert (found.tokens, found.steps, found.rows) == (real.tokens, real.steps, 50)
    assert found.longest_batch == max(probe.tokens for probe in found.probes)
    time, memory = found.train_seconds, found.memory_mb
    assert time is not None
    assert memory is not None
    assert time.low < time.value < time.high
    # A machine with other work can slow either down; by how much isn't this test's question, but the unit is.
    assert time.low / 100 < real.train_seconds < time.high * 100
    assert memory.low / 2 < real.peak_rss_mb < memory.high * 2
    assert found.fits
    assert {event["stage"] for event in events(asked, "progress")} == {"try"}


def test_it_begins_where_the_training_would(engines: Engines, base: Path, tmp_path: Path) -> None:
    earlier = attempt(tmp_path / "earlier", base, rows=toy_conversations(8), max_steps=1, epochs=1)
    engines.run(earlier)
    start = earlier.output
    settings = {**SETTINGS, "epochs": 1}
    asked = attempt(tmp_path / "asked", base, kind="estimate", start=start, **settings)
    assert engines.run(asked)["status"] == "succeeded"
    gone = attempt(tmp_path / "gone", base, kind="estimate", start=tmp_path / "nowhere", **settings)
    assert engines.run(gone)["status"] == "failed"


@pytest.mark.parametrize("method", ["dpo", "kto", "reward"])
def test_methods_that_ask_more_are_tried_too(
    engines: Engines, base: Path, tmp_path: Path, method: str
) -> None:
    asked = attempt(tmp_path / "asked", base, method=method, kind="estimate", batch_size=4, epochs=2)
    found = EstimateResult.model_validate(engines.run(asked))
    assert found.status == "succeeded", found.error
    assert found.steps > 0
    assert found.other_seconds > 0
    assert len(found.probes) >= 2


def test_what_would_fail_fails_with_its_reason(engines: Engines, base: Path, tmp_path: Path) -> None:
    asked = attempt(tmp_path / "asked", base, kind="estimate", max_sequence_length=2)
    found = EstimateResult.model_validate(engines.run(asked))
    assert found.status == "failed"
    assert found.error is not None
    assert found.error["code"] == "no_supervised_tokens"
