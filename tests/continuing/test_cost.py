"""A run's cost, estimated before, metered while it goes on and billed after, by the prices of its submission."""

from decimal import Decimal

from sqlalchemy import select, update

from tests.continuing.conftest import FULL, Place
from tunery.db.tables import attempt, run, task
from tunery.schemas.cost import Cost
from tunery.schemas.run import RunDetail, RunSpec
from tunery.services import runs

HOUR_US = 3_600_000_000


def spent(place: Place, id: str, microseconds: int, tokens: int) -> RunDetail:
    """Say that a run's engines took so long, in two attempts, for so many tokens."""
    with place.context() as ctx:
        own = ctx.conn.scalars(select(task.c.id).where(task.c.run_id == id, task.c.kind == "train")).one()
        row = ctx.conn.execute(select(attempt).where(attempt.c.task_id == own)).one()
        half = microseconds // 2
        ctx.conn.execute(update(attempt).where(attempt.c.task_id == own).values(ended=row.started + half))
        again = {**row._mapping, "number": 99, "ended": row.started + microseconds - half}
        ctx.conn.execute(attempt.insert().values(**again))
        progress = {**place.run(id).progress.model_dump(), "tokens": tokens}
        ctx.conn.execute(update(run).where(run.c.id == id).values(progress=progress))
    return place.run(id)


def preview(place: Place, **fields: object) -> Cost | None:
    with place.context() as ctx:
        return runs.preview(ctx, RunSpec.model_validate(fields)).cost


def test_without_a_price_there_is_no_cost(place: Place) -> None:
    assert place.run("line #1").cost is None
    assert preview(place, base_model=str(place.model), data="first", settings=FULL) is None


def test_a_run_is_billed_by_the_prices_of_its_day(place: Place) -> None:
    place.settings.currency = "EUR"
    place.settings.price_per_hour = Decimal("1.20")
    place.settings.price_per_million_tokens = Decimal("0.50")
    spec = {"base_model": str(place.model), "data": "first", "settings": FULL}
    unknown = preview(place, **spec)
    assert unknown is not None
    assert (unknown.stage, unknown.hours, unknown.micro) == ("estimate", None, None)
    made = place.done(name="billed", **spec)
    assert made.cost is not None
    assert (made.cost.stage, made.cost.hours) == ("bill", Decimal("0.01"))
    place.settings.price_per_hour = Decimal(99)
    billed = spent(place, made.id, HOUR_US + 1, 3_000_000).cost
    assert billed is not None
    assert (billed.hours, billed.tokens, billed.amount) == (Decimal("1.01"), 3_000_000, "2.71 EUR")


def test_an_estimate_rests_on_a_measured_run_of_the_same_kind(place: Place) -> None:
    place.settings.price_per_hour = Decimal(10)
    with place.context() as ctx:
        row = ctx.conn.execute(select(run.c.id, run.c.result)).one()
        measured = {**row.result, "train": {**row.result["train"], "tokens_per_second": 2.0}}
        ctx.conn.execute(update(run).values(result=measured))
    spec = {"base_model": str(place.model), "data": "first"}
    found = preview(place, **spec, settings={**FULL, "epochs": 2})
    assert found is not None
    assert found.tokens is not None
    hundredths = -(-found.tokens // 72)
    assert found.hours == Decimal(hundredths) / 100
    assert found.micro == hundredths * 100_000
    assert found.basis == "line #1 trained 2 tokens a second"
    adapter = preview(place, **spec, settings={"finetuning_type": "lora"})
    assert adapter is not None
    assert adapter.hours is None
    place.settings.idle_price_per_hour = Decimal(1)
    idle = preview(place, **spec, settings={**FULL, "epochs": 2}, resources={"idle_time": True})
    assert idle is not None
    assert idle.micro == hundredths * 10_000
