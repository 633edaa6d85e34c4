"""What a run costs: an estimate before it, a meter while it goes on, the bill when it is over.

Billed is the time of its training engines, validation included, over all attempts; and the tokens of the steps done,
each once, however often a step was repeated after a crash.
"""

from typing import Any

from sqlalchemy import Row, select

from tunery.core.clock import MICROSECONDS
from tunery.db.tables import attempt, job, run, task
from tunery.jobs.lifetime import now_for
from tunery.jobs.states import RUN_ENDED
from tunery.schemas.cost import Cost, Prices
from tunery.schemas.run import ResolvedSpec
from tunery.services import estimated
from tunery.services.context import Context
from tunery.services.prices import billed_hours, micro_of, prices_of

_LOOKED_AT = 20
"""So many of the newest runs are looked at for a measured speed."""


def before(ctx: Context, resolved: ResolvedSpec, tokens: int | None) -> Cost | None:
    """What a run would cost; `tokens`: of an epoch. None where no price is set."""
    spec = resolved.spec
    prices = prices_of(ctx.settings, idle_time=spec.resources.idle_time)
    if prices is None or tokens is None:
        return None
    everything = tokens * spec.settings["epochs"]
    hours = basis = None
    measured = estimated.known(ctx, resolved)
    if measured is not None and measured.train_seconds is not None:
        seconds = measured.train_seconds.value + measured.other_seconds
        everything, hours = measured.tokens, billed_hours(round(seconds * MICROSECONDS))
        basis = "measured on some of its rows"
    elif (found := _speed(ctx, resolved)) is not None:
        name, speed = found
        hours = billed_hours(round(everything / speed * MICROSECONDS))
        basis = f"{name} trained {speed:,.0f} tokens a second"
    return Cost(
        stage="estimate",
        prices=prices,
        hours=hours,
        tokens=everything,
        micro=micro_of(prices, hours, everything),
        basis=basis,
    )


def of_run(ctx: Context, row: Row[Any]) -> Cost | None:
    """What a run has cost so far, by the prices it was submitted at; None where there were none."""
    kept = row.inputs.get("prices")
    if kept is None:
        return None
    prices = Prices.model_validate(kept)
    hours = billed_hours(_engine_time(ctx, row.id))
    tokens = row.progress.get("tokens", 0)
    return Cost(
        stage="bill" if row.state in RUN_ENDED else "meter",
        prices=prices,
        hours=hours,
        tokens=tokens,
        micro=micro_of(prices, hours, tokens),
    )


def _engine_time(ctx: Context, id: str) -> int:
    """Microseconds of all its training engines."""
    spans = ctx.conn.execute(
        select(attempt)
        .join(task, task.c.id == attempt.c.task_id)
        .where(task.c.run_id == id, task.c.kind == "train")
    )
    return sum(max(0, (one.ended or now_for(one)) - one.started) for one in spans)


def _speed(ctx: Context, resolved: ResolvedSpec) -> tuple[str, float] | None:
    """Tokens a second that the newest run of the same kind was measured at, and its name."""
    spec = resolved.spec
    found = ctx.conn.execute(
        select(job.c.name, run.c.number, run.c.result, run.c.resolved)
        .join(job, job.c.id == run.c.job_id)
        .where(
            run.c.project_id == ctx.project,
            run.c.base_model == spec.base_model,
            run.c.method == spec.method,
            run.c.state.in_(("succeeded", "stopped")),
        )
        .order_by(run.c.created.desc())
        .limit(_LOOKED_AT)
    )
    kind = spec.settings["finetuning_type"]
    for row in found:
        same = row.resolved["spec"]["settings"]["finetuning_type"] == kind
        speed = row.result["train"]["tokens_per_second"] if row.result else 0
        if same and speed:
            return f"{row.name} #{row.number}", speed
    return None
