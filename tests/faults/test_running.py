"""What happens to a machine while a run goes on: a name, a cure, and on it goes when that is over, with nothing lost.

A lock that another program holds, folders that can't be written, a disk that fails to sync, noise in the database, a
clock that is set. A full disk has a file of its own (tests/e2e/test_full_disk.py).
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import Running
from tests.faults.damage import damaged
from tests.faults.mount import read_only
from tests.faults.scene import whole
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings

pytestmark = pytest.mark.e2e
STEPS = 100
DAY = 24 * 3600
MANY = 12
"""At once, so that connections are opened beside those that wait to be used again."""


def begun(running: Running, name: str) -> str:
    """A run in its middle, where it stays until the hold is released."""
    running.scene.hold.at(STEPS // 2)
    run = running.scene.begin(running.client, STEPS, name=name)
    running.scene.reach(running.client, run, 7)
    return run


def refusal(running: Running) -> Problem:
    """What is answered to something that would be written."""
    with pytest.raises(Problem) as refused:
        running.client.tokens.create("never kept")
    return refused.value


def test_thirty_seconds_are_waited_out() -> None:
    assert ServerSettings().database_wait_seconds > 30


def test_a_database_locked_for_longer_than_anyone_waits(running: Running) -> None:
    run = begun(running, "locked")
    scene, client = running.scene, running.client
    with scene.database() as other:
        other.execute("BEGIN IMMEDIATE")
        refused = refusal(running)
        assert (refused.code, refused.status) == ("database_busy", 503)
        assert "end what holds it" in refused.cure
        assert client.runs.get(run).state == "running"
        scene.hold.release()
        scene.wait("the engine's end", lambda: scene.attempt(run).read_result() is not None)
        scene.wait("the worker to say so", lambda: "waits: database is locked" in scene.log())
        other.execute("ROLLBACK")
    assert whole(client, run, STEPS).attempt == 1


def test_a_disk_that_fails_to_sync(running: Running) -> None:
    run = begun(running, "failing")
    running.machine.be(sync_fails=True)
    refused = refusal(running)
    assert (refused.code, refused.status) == ("disk_unwritable", 507)
    running.scene.wait("the worker to say so", lambda: "disk I/O error" in running.scene.log())
    assert running.client.runs.get(run).state == "running"
    running.machine.be()
    running.scene.hold.release()
    whole(running.client, run, STEPS)


def test_a_run_rests_while_its_folder_cant_be_written(running: Running) -> None:
    run = begun(running, "read-only")
    with read_only(running.scene.data / "runs"):
        running.scene.hold.release()
        running.scene.wait("the run to rest", lambda: running.client.runs.get(run).state == "paused")
        reason = running.client.runs.get(run).reason
    assert reason is not None
    assert (reason["code"], "Read-only file system" in reason["message"]) == ("disk_unwritable", True)
    assert "resume" in reason["cure"]
    running.client.runs.resume(run)
    assert whole(running.client, run, STEPS).attempt > 1


def test_a_data_folder_that_turns_read_only(running: Running) -> None:
    """Database and all. What was opened meanwhile could write no more afterwards, if it were kept."""
    run = begun(running, "all-read-only")
    scene, client = running.scene, running.client

    def refused(number: int) -> Problem | None:
        try:
            client.tokens.create(f"never-{number}")
        except Problem as problem:
            return problem
        return None

    with read_only(scene.data), ThreadPoolExecutor(MANY) as many:
        problems = [one for one in many.map(refused, range(MANY)) if one]
        assert {(one.code, one.status) for one in problems} == {("disk_unwritable", 507)}
        assert "Make it writable again" in problems[0].cure
        assert client.runs.get(run).state == "running"
    with ThreadPoolExecutor(MANY) as many:
        scene.wait("all to write again", lambda: not any(many.map(refused, range(MANY))))
    scene.hold.release()
    whole(client, run, STEPS)


@pytest.mark.parametrize("part", ["blobs", "uploads"])
def test_an_import_into_a_folder_that_cant_be_written(running: Running, part: str) -> None:
    with read_only(running.scene.data / part), pytest.raises(Problem) as refused:
        running.scene.with_rows(running.client, f"kept-in-{part}")
    assert refused.value.code == "disk_unwritable"
    running.scene.with_rows(running.client, f"kept-in-{part}")


def test_a_table_is_damaged(running: Running) -> None:
    """The list of checkpoints is; the worker needs it as soon as the engine has saved the first."""
    scene, client = running.scene, running.client
    with damaged(scene, "checkpoint"):
        run = scene.begin(client, STEPS, name="damaged")
        scene.wait("the engine's end", lambda: scene.attempt(run).read_result() is not None)
        scene.wait("the worker to say so", lambda: "waits: database disk image is malformed" in scene.log())
        with pytest.raises(Problem) as refused:
            client.runs.checkpoints(run)
        assert refused.value.code == "database_damaged"
    assert whole(client, run, STEPS).attempt == 1
    assert len(client.runs.checkpoints(run)) == STEPS // 5


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_set_by_a_day(running: Running, days: int) -> None:
    """Nothing waits, ends or costs a day; an idle-time run that gives way meanwhile comes back."""
    scene, client = running.scene, running.client
    run = begun(running, f"clock-{days}")
    running.machine.be(seconds=days * DAY)
    scene.reach(client, run, 20)
    client.runs.pause(run)
    scene.wait("the pause", lambda: client.runs.get(run).state == "paused")
    idle = scene.begin(client, STEPS, name=f"idle-{days}", resources={"idle_time": True})
    scene.reach(client, idle, 7)
    client.runs.resume(run)
    scene.wait("the idle-time run to give way", lambda: client.runs.get(idle).state == "queued")
    running.machine.be()
    scene.hold.release()
    ended = whole(client, run, STEPS)
    assert ended.attempt == 2
    assert whole(client, idle, STEPS).attempt == 2
    assert ended.cost is not None
    assert ended.cost.hours is not None
    assert 0 < ended.cost.hours < 1
