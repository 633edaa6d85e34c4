"""The diagnosis of a run: its curves, events and evaluation brought together, and looked at."""

from typing import Any

from sqlalchemy import Row, select

from tunery.db.curves import read_series
from tunery.db.tables import evaluation, event
from tunery.diagnosis.history import Curve, History, told
from tunery.diagnosis.look import diagnose
from tunery.methods.point import learns_words
from tunery.schemas.diagnosis import Diagnosis
from tunery.schemas.run import Stage
from tunery.services.context import Context
from tunery.services.runs import need_run

_CURVES = ("train_loss", "validation_loss", "learning_rate", "grad_norm")
_MOST_POINTS = 20_000


def diagnosis(ctx: Context, id: str) -> Diagnosis:
    """What the curves of a run say so far. Raises Problem `not_found`."""
    row = need_run(ctx, id)
    return diagnose(row.id, _history(ctx, row))


def _history(ctx: Context, row: Row[Any]) -> History:
    series = {one.name: one for one in read_series(ctx.conn, row.id, _CURVES, 0, None, _MOST_POINTS)}

    def curve(name: str) -> Curve:
        found = series.get(name)
        return Curve() if found is None else Curve.of(found.steps, found.values)

    bodies = ctx.conn.scalars(
        select(event.c.body)
        .where(event.c.run_id == row.id, event.c.type.in_(("started", "tokenized", "stands_out")))
        .order_by(event.c.seq)
    )
    steps, counts, standing_out = told(bodies)
    spec = row.resolved["spec"]
    return History(
        train=curve("train_loss"),
        validation=curve("validation_loss"),
        learning_rate=curve("learning_rate"),
        grad_norm=curve("grad_norm"),
        steps=steps,
        ended=_training_is_over(row),
        words=learns_words(row.method),
        settings=spec["settings"],
        counts=counts,
        standing_out=standing_out,
        reason=row.reason,
        held_out_loss=_held_out_loss(ctx, row.evaluation_id),
    )


def _training_is_over(row: Row[Any]) -> bool:
    stages = [Stage.model_validate(stage) for stage in row.stages]
    return any(one.name == "train" and one.state in ("succeeded", "failed", "skipped") for one in stages)


def _held_out_loss(ctx: Context, id: str | None) -> float | None:
    if id is None:
        return None
    result = ctx.conn.scalar(select(evaluation.c.result).where(evaluation.c.id == id))
    score = ((result or {}).get("tuned") or {}).get("loss")
    return None if score is None else score["mean"]
