"""The small version of `make chaos`: a few runs, a few faults, nothing lost, stuck, run twice or published twice."""

from pathlib import Path

import pytest

from tests.chaos.place import Place
from tests.chaos.report import report
from tests.chaos.trial import Trial

KEYS = (
    "faults_injected", "faults_survived", "runs", "lost", "stuck", "double_run", "double_published",
    "zombie_writes_blocked", "steps_repeated_p50", "steps_repeated_max", "resume_seconds_p50", "resume_seconds_p95",
    "detection_seconds_p95",
)  # fmt: skip


@pytest.mark.slow
def test_nothing_is_lost_whatever_is_killed(tmp_path: Path) -> None:
    place = Place(tmp_path, None)
    try:
        trial = Trial(place, runs=8, every=2.0, seed=3)
        trial.run()
        faults = trial.faults
        found = report(place, len(trial.made), faults.done.total(), faults.detected)
        assert tuple(found) == KEYS
        wrong = ("lost", "stuck", "double_run", "double_published")
        assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0), place.log()[-8000:]
        assert found["runs"] == 8
        assert found["faults_survived"] == found["faults_injected"] > 0
    finally:
        place.close()
