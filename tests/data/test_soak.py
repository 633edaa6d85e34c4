"""One hundredth of `make soak`, through the same code."""

from pathlib import Path

import pytest

from bench import upload
from bench.soak import misses, soak


@pytest.mark.slow
def test_a_hundredth_of_the_soak(tmp_path: Path) -> None:
    found = soak(tmp_path, 0.01, seed=1)
    assert misses(found) == []
    assert found["files"]["ten times the rows"]["rows"] == 100_000
    assert all(one["picked_seconds"] > 0 for one in found["files"].values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.e2e
def test_a_hundredth_of_the_upload_through_a_server_that_is_killed(tmp_path: Path) -> None:
    sent = upload.measure(tmp_path, 100_000_000, seed=1)
    assert misses({"files": {}, "slower_by_byte": 1.0, "slower_by_row": 1.0, "upload": sent}) == []
    assert 50_000_000 <= sent["killed_at"] < sent["bytes"]
    assert sent["worker_mb"] < 300


def test_what_misses_an_aim_is_said() -> None:
    one = {"rows": 9, "rows_written": 10, "peak_mb": 400.0}
    found = {"files": {"rows": one}, "slower_by_byte": 2.0, "slower_by_row": 1.0}
    assert [line.partition(":")[0] for line in misses(found)] == ["rows", "rows", "slower_by_byte"]
    sent = {"rows": 1, "rows_written": 1, "lost_bytes": 5}
    fine = {"files": {}, "slower_by_byte": 1.0, "slower_by_row": 1.0, "upload": sent}
    assert misses(fine) == ["upload: 1 of 1 rows, 5 bytes lost"]
