"""A run that waits says why: nobody works, others are ahead, or a worker is about to take it."""

from pathlib import Path

from tests.jobs.house import House
from tunery.schemas.run import Waiting
from tunery.services import datasets


def waiting(house: House, run: str) -> Waiting:
    found = house.run(run).waiting
    assert found is not None
    return found


def imported(house: House) -> None:
    def there() -> bool:
        with house.context() as ctx:
            return datasets.get_version(ctx, "rows").state == "published"

    house.wait("the import", there)


def test_why_a_run_waits(house: House, model: Path) -> None:
    worker = house.start_worker()
    imported(house)
    first = house.submit(model, 100_000, name="first")
    house.wait_for_step(first, 1)
    assert house.run(first).waiting is None
    second = house.submit(model, 3, name="second")
    third = house.submit(model, 3, name="third")
    assert waiting(house, second).ahead == ["first #1"]
    assert waiting(house, third).model_dump() == {
        "code": "runs_ahead",
        "message": "Waiting for its turn: first #1 is ahead, and 1 more.",
        "ahead": ["first #1", "second #1"],
        "ahead_count": 2,
        "limit": None,
    }
    house.ask(first, "pause")
    assert house.wait_for_state(first, "paused").waiting is None
    house.ask(third, "cancel")
    assert house.wait_for_state(second, "succeeded").waiting is None
    assert house.run(third).waiting is None
    worker.kill()
    worker.wait()
    house.ask(first, "resume")
    house.settings = house.settings.model_copy(update={"lease_seconds": 1.0})  # of who looks
    house.wait("the dead worker to be noticed", lambda: waiting(house, first).code == "no_worker")


def test_a_run_is_found_by_the_name_it_is_shown_with(house: House, model: Path) -> None:
    house.start_worker()
    imported(house)
    made = [house.submit(model, 3, name="again") for _ in range(2)]
    assert [house.run("again #1").id, house.run("again#2").id, house.run("again").id] == [*made, made[1]]
