"""Statistics outlive their worker: killed or asked to end, the task is taken up again and comes to its end once."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.jobs.house import House, alpaca
from tunery.core.settings import ServerSettings
from tunery.db.engine import reading
from tunery.db.tables import task
from tunery.schemas.statistics import Statistics, StatisticsRequest
from tunery.services import datasets, statistics, tasks

ROWS = 40_000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, ServerSettings(data=tmp_path / "data", heartbeat_seconds=0.2, standby_engines=0))
    made.import_rows("rows", alpaca(tmp_path / "rows.jsonl", ROWS))
    yield made
    made.close()


def imported(house: House) -> bool:
    with house.context() as ctx:
        return datasets.get_version(ctx, "rows").state == "published"


def look(house: House) -> Statistics:
    with house.context() as ctx:
        return statistics.need(ctx, "rows", 1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_goes_away_costs_nothing_but_time(house: House, how: signal.Signals) -> None:
    first = house.start_worker()
    house.wait("the import", lambda: imported(house))
    with house.context() as ctx:
        asked = statistics.ask(ctx, "rows", 1, StatisticsRequest())

    def under_way() -> bool:
        with reading(house.engine) as connection:
            found = connection.execute(select(task).where(task.c.id == asked.task)).one()
        return found.state == "running" and bool((found.progress or {}).get("done"))

    if how == signal.SIGKILL:
        house.kill_amid(first, "progress", under_way)
    else:
        house.wait("progress", under_way)
        first.send_signal(how)
        first.wait()
    with house.context() as ctx:
        # One that is told to end may be so near its end that it comes to it.
        wanted = {"queued", "succeeded"} if how == signal.SIGTERM else {"running"}
        assert tasks.get_task(ctx, asked.task).state in wanted
    house.start_worker()
    house.wait("the statistics", lambda: look(house).state == "done")
    done = look(house)
    assert done.found is not None
    assert (done.task, done.found.rows, done.found.duplicates) == (asked.task, ROWS, 0)
    uploads = house.folder / "data" / "uploads"
    house.wait("its scratch to go", lambda: not any(uploads.glob("analysis_*")))
    with house.context() as ctx:
        assert statistics.ask(ctx, "rows", 1, StatisticsRequest()).task == asked.task
