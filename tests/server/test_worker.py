"""What the worker process is told, and how its log is kept small."""

from pathlib import Path

import pytest

from tunery.core.settings import ServerSettings
from tunery.server import worker
from tunery.server.worker import settings_as_environment


def test_chosen_settings_reach_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = ServerSettings(
        data=tmp_path,
        minimum_rows=7,
        lease_seconds=2.5,
        engine_command=["python", "-c", "a b"],
        database_url="sqlite://",
    )
    for name, value in settings_as_environment(chosen).items():
        monkeypatch.setenv(name, value)
    assert ServerSettings(data=tmp_path) == chosen
    assert "TUNERY_DATA" not in settings_as_environment(chosen)
    assert "TUNERY_PORT" not in settings_as_environment(chosen)


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    worker._roll(log)
    log.write_bytes(b"x" * (worker._LOG_BYTES + 1))
    worker._roll(log)
    assert not log.exists()
    assert (tmp_path / "worker.log.1").stat().st_size > worker._LOG_BYTES
