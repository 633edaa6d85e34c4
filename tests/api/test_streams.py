"""A run's events as they happen: from the right place on, to the end, and not a moment longer."""

import threading
from collections.abc import Iterator

import httpx
import orjson
import pytest
from sqlalchemy import func, insert, select, update
from starlette.testclient import TestClient

from tests.api.place import Live, Place, add_run
from tests.patience import PATIENCE, wait
from tunery.api import streams
from tunery.db.curves import Point, append_points
from tunery.db.engine import reading, writing
from tunery.db.tables import event, run

Event = tuple[int, str, dict]


@pytest.fixture
def running(place: Place) -> Place:
    """A run with three events: log, metric, log."""
    add_run(place)
    say(place, "one")
    with writing(place.state.engine) as connection:
        append_points(connection, place.project, "run_1", 1, [Point("train_loss", 1, 5, 2, 0.5)])
        connection.execute(update(run).values(event_seq=2))
    say(place, "three\nwith a second line")
    return place


def say(place: Place, message: str) -> None:
    with writing(place.state.engine) as connection:
        seq = (connection.scalar(select(func.max(run.c.event_seq))) or 0) + 1
        body = {
            "v": 1,
            "type": "log",
            "level": "info",
            "message": message,
            "attempt": 1,
            "step": 1,
            "time": seq,
            "seq": seq,
        }
        connection.execute(
            insert(event).values(
                run_id="run_1", seq=seq, project_id=place.project, attempt=1, type="log", body=body
            )
        )
        connection.execute(update(run).values(event_seq=seq))


def end(place: Place) -> None:
    with writing(place.state.engine) as connection:
        connection.execute(update(run).values(state="succeeded"))


def read(answer: httpx.Response) -> Iterator[Event]:
    id, kind, data = 0, "", ""
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            id = int(value)
        elif name == "event":
            kind = value
        elif name == "data":
            data = value
        elif line == "" and data:
            yield id, kind, orjson.loads(data)
            data = ""


def follow(client: httpx.Client, last: int | None = None) -> list[Event]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with client.stream("GET", "/api/v1/runs/run_1/stream", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        return list(read(answer))


def test_the_whole_story_and_its_end(running: Place, live: Live) -> None:
    end(running)
    with live.client() as client:
        events = follow(client)
        listed = client.get("/api/v1/runs/run_1/events").json()
    assert [(id, kind) for id, kind, _ in events] == [(1, "log"), (2, "metric"), (3, "log"), (3, "end")]
    assert events[1][2]["values"] == {"train_loss": 0.5}
    assert events[2][2]["message"] == "three\nwith a second line"
    assert events[3][2] == {"state": "succeeded"}
    assert [body for _, _, body in events[:3]] == listed


@pytest.mark.parametrize(("last", "ids"), [(0, [1, 2, 3, 3]), (1, [2, 3, 3]), (3, [3]), (10**12, [10**12])])
def test_going_on_after_the_last_event_known(running: Place, live: Live, last: int, ids: list[int]) -> None:
    end(running)
    with live.client() as client:
        assert [id for id, _, _ in follow(client, last)] == ids


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, "²"])
def test_nonsense_as_the_last_event(running: Place, client: TestClient, last: str) -> None:
    answer = client.get("/api/v1/runs/run_1/stream", headers={"Last-Event-ID": last.encode("latin-1")})
    assert (answer.status_code, answer.json()["where"]) == (422, {"field": "Last-Event-ID"})


def test_events_arrive_while_they_happen(running: Place, live: Live) -> None:
    with live.client() as client, client.stream("GET", "/api/v1/runs/run_1/stream") as answer:
        events = read(answer)
        assert [next(events)[0] for _ in range(3)] == [1, 2, 3]
        for number in (4, 5, 6):
            say(running, str(number))
            assert next(events)[0] == number
        end(running)
        assert next(events)[1] == "end"
        assert list(events) == []


def test_long_stories_come_whole(running: Place, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_AT_ONCE", 7)
    points = [Point("train_loss", step, step, 3 + step, 1.0) for step in range(1, 41)]
    with writing(running.state.engine) as connection:
        append_points(connection, running.project, "run_1", 2, points)
        connection.execute(update(run).values(event_seq=43))
    end(running)
    with live.client() as client:
        assert [id for id, _, _ in follow(client)] == [*range(1, 44), 43]


def test_no_transaction_stays_open_and_readers_that_leave_are_forgotten(running: Place, live: Live) -> None:
    with live.client() as client:
        for _ in range(20):
            with client.stream("GET", "/api/v1/runs/run_1/stream") as answer:
                next(read(answer))
        # A writer gets in, whoever reads: this reader would stay for ever.
        with client.stream("GET", "/api/v1/runs/run_1/stream") as answer:
            next(read(answer))
            say(running, "four")
    wait("the readers to be forgotten", lambda: not live.server.server_state.tasks)
    assert running.state.engine.pool.checkedout() == 0  # pyright: ignore[reportAttributeAccessIssue]


def test_thirty_readers_leave_room_for_others(running: Place, live: Live) -> None:
    done: list[list[Event]] = []

    def reader() -> None:
        with live.client() as client:
            done.append(follow(client))

    threads = [threading.Thread(target=reader) for _ in range(30)]
    for thread in threads:
        thread.start()
    with live.client() as client:
        for _ in range(20):  # while the readers stay
            assert client.get("/api/v1/runs").status_code == 200
            assert done == []
    end(running)
    for thread in threads:
        thread.join(PATIENCE)
    assert [len(events) for events in done] == [4] * 30


def test_streams_end_when_the_server_does(
    running: Place, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_EAGER_SECONDS", "_IDLE_SECONDS"):  # it doesn't see by its next look that the server closes
        monkeypatch.setattr(streams, name, 100 * PATIENCE)
    with live.client() as client, client.stream("GET", "/api/v1/runs/run_1/stream") as answer:
        events = read(answer)
        assert [next(events)[0] for _ in range(3)] == [1, 2, 3]
        threading.Timer(0.2, running.state.closing.set).start()
        assert list(events) == []


def test_a_run_is_its_projects_own(running: Place, client: TestClient) -> None:
    with reading(running.state.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(run)) == 1
    assert client.get("/api/v1/runs/run_2/stream").status_code == 404
    assert client.get("/api/v1/runs/run_2/stream").json()["code"] == "not_found"
