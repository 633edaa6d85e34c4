"""Pipelines on a real database: versions, starts by hand, what their schedules start and what they pass over."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.jobs.house import FAKE_ENGINE, House, alpaca, bare_model
from tests.patience import wait
from tests.postgres import new_database
from tests.served import server
from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, reading, writing
from tunery.db.tables import pipeline, run
from tunery.schemas.pipeline import SavePipeline
from tunery.schemas.run import RunSpec
from tunery.sdk.client import Client
from tunery.services import pipelines, runs, starts

HOURLY = {"type": "schedule", "cron": "0 * * * *", "time_zone": "Europe/Berlin"}


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """The data folder's own, or where a test asks for it, PostgreSQL's."""
    asked = getattr(request, "param", "sqlite")
    return "" if asked == "sqlite" else new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    """With published rows and no worker: what is started stays queued."""
    settings = ServerSettings(data=tmp_path / "data", database_url=database_url, engine_command=FAKE_ENGINE)
    made = House(tmp_path, settings)
    made.import_rows("rows", alpaca(tmp_path / "rows.jsonl", 120))
    worker = made.start_worker()
    made.wait("the import", lambda: _published(made))
    worker.kill()
    worker.wait()
    yield made
    made.close()


def _published(house: House) -> bool:
    from tunery.services import datasets

    with house.context() as ctx:
        return datasets.get_version(ctx, "rows").state == "published"


def spec(tmp_path: Path, **more: Any) -> RunSpec:
    model = tmp_path / "bare"
    path = model if model.exists() else bare_model(tmp_path)
    return RunSpec.model_validate(
        {"base_model": str(path), "data": "rows", "settings": {"max_steps": 5}, **more}
    )


def save(house: House, given: RunSpec, **more: Any) -> str:
    with house.context() as ctx:
        return pipelines.save(ctx, SavePipeline(spec=given, **more)).name


def make_due(house: House, name: str, ago_seconds: float = 1) -> int:
    due = now_us() - int(ago_seconds * MICROSECONDS)
    with writing(house.engine) as connection:
        connection.execute(update(pipeline).where(pipeline.c.name == name).values(next_start=due))
    return due


def look(house: House) -> None:
    """What the server does every two seconds."""
    with reading(house.engine) as connection:
        due = starts.due(connection)
    for id in due:
        with writing(house.engine) as connection:
            starts.start_due(connection, house.settings, house.blobs, id)


def outcomes(house: House, name: str) -> list[tuple[str, str | None]]:
    with house.context() as ctx:
        found = pipelines.list_starts(ctx, name).data
    return [(one.outcome, one.reason and one.reason["code"]) for one in reversed(found)]


def test_a_definition_comes_back_as_it_was_given(house: House, tmp_path: Path) -> None:
    given = spec(
        tmp_path, trigger={**HOURLY, "first_day": "2026-12-01", "overlap": "queue"}, publish={"auto": True}
    )
    name = save(house, given)
    with house.context() as ctx:
        found = pipelines.get_pipeline(ctx, name)
    assert found.spec == given
    assert found.spec.model_fields_set == given.model_fields_set
    assert name.startswith("ft_bare_")
    assert found.schedule is not None
    assert len(found.schedule.next) == 5
    with house.context() as ctx:
        foreseen = pipelines.foresee(ctx, given)
    assert foreseen.next == found.schedule.next
    assert foreseen.resolved.spec.settings["max_steps"] == 5
    assert save(house, spec(tmp_path), template=True).endswith("_template")


def test_a_template_s_settings_stand_for_those_left_out(house: House, tmp_path: Path) -> None:
    house_style = {"max_steps": 7, "lora_rank": 4, "learning_rate": 0.0003}
    save(house, spec(tmp_path, settings=house_style), name="style", template=True)
    given = spec(tmp_path, template="style", settings={"learning_rate": 0.0005})
    with house.context() as ctx:
        resolved = runs.resolve(ctx, given)
        settings, origins = resolved.spec.settings, resolved.origins
        assert (settings["max_steps"], settings["lora_rank"], settings["learning_rate"]) == (7, 4, 0.0005)
        assert [origins[name] for name in ("max_steps", "lora_rank", "learning_rate", "epochs")] == [
            "template",
            "template",
            "user",
            "recommended",
        ]
        assert resolved.spec.template == "style@1"
        full = runs.resolve(ctx, given.model_copy(update={"settings": {"finetuning_type": "full"}}))
        assert (full.origins["max_steps"], full.origins["lora_rank"]) == ("template", "default")
        made = runs.submit(ctx, given)
        pipelines.change(ctx, "style", spec(tmp_path, settings={"max_steps": 9}))
        assert runs.resolve(ctx, given).spec.settings["max_steps"] == 9
        again = runs.spec_of(ctx, made.id)
        assert (again.template, again.settings) == ("style@1", {"learning_rate": 0.0005})
        assert runs.resolve(ctx, again).spec.settings == settings
        named = spec(tmp_path, template="style", settings={"lora_rank": 2})
        pipelines.save(ctx, SavePipeline(spec=named, name="stricter", template=True))
        both = runs.resolve(ctx, spec(tmp_path, template="stricter", settings={}))
        assert (both.spec.settings["max_steps"], both.spec.settings["lora_rank"]) == (9, 2)
        with pytest.raises(Problem) as caught:
            runs.resolve(ctx, spec(tmp_path, template="style@5"))
    assert (caught.value.code, caught.value.where.field) == ("not_found", "template")


def test_versions(house: House, tmp_path: Path) -> None:
    name = save(house, spec(tmp_path), name="weekly")
    with house.context() as ctx:
        assert pipelines.change(ctx, name, spec(tmp_path)).version == 1
        assert (
            pipelines.change(ctx, name, spec(tmp_path, method="sft", settings={"max_steps": 7})).version == 2
        )
        kept = pipelines.list_versions(ctx, name)
        started = pipelines.start(ctx, name)
    assert [(one.version, one.spec.settings["max_steps"]) for one in kept] == [(2, 7), (1, 5)]
    assert (started.name, started.number, started.resolved.spec.settings["max_steps"]) == ("weekly", 1, 7)
    assert started.resolved.spec.trigger.type == "manual"
    assert outcomes(house, name) == [("started", None)]


@pytest.mark.parametrize(
    ("more", "body", "code"),
    [
        ({"trigger": {**HOURLY, "cron": "never"}}, {}, "schedule_invalid"),
        ({"trigger": {**HOURLY, "last_day": "2020-01-01"}}, {}, "schedule_invalid"),
        ({"settings": {"learning_rat": 1}}, {}, "unknown_setting"),
        ({"data": "no-such-rows"}, {}, "not_found"),
        ({}, {"name": "taken"}, "name_taken"),
    ],
)
def test_what_could_not_run_is_not_kept(
    house: House, tmp_path: Path, more: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    save(house, spec(tmp_path), name="taken")
    with pytest.raises(Problem) as caught:
        save(house, spec(tmp_path, **more), **body)
    assert caught.value.code == code
    with house.context() as ctx:
        assert [one.name for one in pipelines.list_pipelines(ctx).data] == ["taken"]


def test_a_run_of_its_own_has_no_schedule_and_a_template_no_runs(house: House, tmp_path: Path) -> None:
    from tunery.services import runs

    with house.context() as ctx, pytest.raises(Problem) as caught:
        runs.submit(ctx, spec(tmp_path, trigger=HOURLY))
    assert caught.value.code == "schedule_needs_pipeline"
    name = save(house, spec(tmp_path, trigger=HOURLY), template=True)
    make_due(house, name)
    with house.context() as ctx, pytest.raises(Problem) as caught:
        pipelines.start(ctx, name)
    assert caught.value.code == "template_not_started"


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_what_is_due_starts_once_however_many_look(house: House, tmp_path: Path) -> None:
    name = save(house, spec(tmp_path, trigger=HOURLY))
    due = make_due(house, name)
    lookers = [Thread(target=look, args=(house,)) for _ in range(4)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    look(house)
    with house.context() as ctx:
        found = pipelines.list_starts(ctx, name).data
        following = ctx.conn.scalar(select(pipeline.c.next_start))
        assert len(ctx.conn.execute(select(run.c.id)).all()) == 1
    assert [(one.outcome, one.due, one.run) for one in found] == [("started", due, f"{name} #1")]
    assert following is not None
    assert following > now_us()


@pytest.mark.parametrize(
    ("overlap", "second", "third"), [("skip", "skipped", "skipped"), ("queue", "skipped", "skipped")]
)
def test_overlap_while_one_waits(house: House, tmp_path: Path, overlap: str, second: str, third: str) -> None:
    name = save(house, spec(tmp_path, trigger={**HOURLY, "overlap": overlap}))
    for _ in range(3):
        make_due(house, name)
        look(house)
    assert outcomes(house, name) == [
        ("started", None), (second, "start_overlaps"), (third, "start_overlaps"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("overlap", "wanted"),
    [
        ("skip", [("started", None), ("skipped", "start_overlaps")]),
        ("queue", [("started", None), ("started", None)]),
    ],
)
def test_overlap_while_one_runs(house: House, tmp_path: Path, overlap: str, wanted: list[Any]) -> None:
    name = save(house, spec(tmp_path, trigger={**HOURLY, "overlap": overlap}))
    make_due(house, name)
    look(house)
    with writing(house.engine) as connection:
        connection.execute(update(run).values(state="running"))
    make_due(house, name)
    look(house)
    assert outcomes(house, name) == wanted


@pytest.mark.parametrize(
    ("missed", "wanted"), [("run_once", [("started", None)]), ("skip", [("skipped", "start_missed")])]
)
def test_asleep_over_many_times(house: House, tmp_path: Path, missed: str, wanted: list[Any]) -> None:
    name = save(house, spec(tmp_path, trigger={**HOURLY, "missed": missed}))
    make_due(house, name, ago_seconds=3 * 86400)
    look(house)
    look(house)
    assert outcomes(house, name) == wanted


def test_what_can_no_longer_run_is_refused_and_the_next_time_stands(house: House, tmp_path: Path) -> None:
    from tunery.services import datasets

    name = save(house, spec(tmp_path, trigger=HOURLY))
    with house.context() as ctx:
        datasets.delete_dataset(ctx, "rows")
    make_due(house, name)
    look(house)
    assert outcomes(house, name) == [("refused", "not_found")]
    with house.context() as ctx:
        found = pipelines.get_pipeline(ctx, name)
    assert found.schedule is not None
    assert found.schedule.next


def test_off_is_off_and_on_catches_nothing_up(house: House, tmp_path: Path) -> None:
    name = save(house, spec(tmp_path, trigger=HOURLY))
    make_due(house, name)
    with house.context() as ctx:
        assert pipelines.set_schedule(ctx, name, active=False).schedule is not None
    look(house)
    with house.context() as ctx:
        pipelines.set_schedule(ctx, name, active=True)
    look(house)
    assert outcomes(house, name) == []


def test_the_server_starts_what_is_due(tmp_path: Path) -> None:
    """On a whole server: by its own clock, through the client. The time is made to come at once."""
    rows = alpaca(tmp_path / "rows.jsonl", 120)
    with server(tmp_path) as served, Client(served.url, served.token) as client:
        client.datasets.create(rows, name="rows")
        client.datasets.wait("rows")
        kept = client.pipelines.save(spec(tmp_path, trigger={**HOURLY, "cron": "0 0 1 1 *"}), name="yearly")
        assert kept.schedule is not None
        database = open_database(ServerSettings(data=served.folder / "data"))
        with writing(database) as connection:
            assert connection.scalar(select(pipeline.c.next_start)) == kept.schedule.next[0]
            due = now_us() - MICROSECONDS
            connection.execute(update(pipeline).where(pipeline.c.name == "yearly").values(next_start=due))
        database.dispose()
        wait("its time to come", lambda: client.pipelines.starts("yearly").data)
        first = client.pipelines.starts("yearly").data[-1]
        assert (first.outcome, first.due) == ("started", due)
        client.pipelines.delete("yearly")
        assert client.runs.get(str(first.run)).name == "yearly"
