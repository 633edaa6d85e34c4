"""Going on from an earlier run's model: which state is meant, whether it may be, and keeping its weights.

What of that run's data is mixed in again is `replay`'s matter.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from tunery.core.attempt import AttemptFolder, run_folder
from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.errors import Problem, Where
from tunery.core.files import copy_file, fsync_folder
from tunery.db.tables import checkpoint, job, model, model_version, run
from tunery.methods.point import METHODS, writes_text
from tunery.models.folder import is_adapter, model_files
from tunery.schemas.continuing import Continued, ContinueSpec
from tunery.schemas.run import RelatedRun, ResolvedSpec, RunSpec
from tunery.services.context import Context
from tunery.services.find_run import need_run

_FIELD = Where(field="continue_from")
_DAY_US = 86_400 * MICROSECONDS
_LOOKED_AT = 50
"""So many runs of a name are looked at for one that left a model."""


@dataclass(frozen=True)
class State:
    """One state of an earlier run's model."""

    step: int
    folder: Path
    created: int


@dataclass(frozen=True)
class Start:
    """What a run goes on from."""

    continued: Continued
    folder: Path
    """Its weights."""
    earlier: ResolvedSpec


def find(ctx: Context, spec: RunSpec) -> tuple[RunSpec, Start | None]:
    """The spec with its base model and the exact state filled in, and that state; None where it starts anew.

    Raises Problem `not_found`, `continue_no_model`, `continue_weights_gone`, `continue_too_old`,
    `continue_other_base`, `continue_method`.
    """
    wanted = spec.continue_from
    if wanted is None:
        return spec, None
    row, state = meant(ctx, wanted)
    earlier = ResolvedSpec.model_validate(row.resolved)
    name = f"{row.name} #{row.number}"
    continued = Continued(
        run=row.id,
        name=name,
        step=state.step,
        kind="adapter" if is_adapter(state.folder) else "full",
        model=_published(ctx, row.id).get(state.step, (None, None))[0],
        method=row.method,
        created=state.created,
        datasets=earlier.learnt_from,
        before=earlier.began_with,
        recipe_hash=earlier.recipe_hash,
    )
    _check_age(ctx, continued)
    _check_method(spec.method, continued)
    base = earlier.spec.base_model
    if spec.base_model and spec.base_model != base:
        raise Problem(
            "continue_other_base",
            where=Where(field="base_model"),
            state=continued.label,
            base=base,
            given=spec.base_model,
        )
    exact = wanted.model_copy(update={"run": name, "step": state.step})
    filled = spec.model_copy(update={"base_model": base, "continue_from": exact})
    return filled, Start(continued, state.folder, earlier)


def check_base(start: Start, base_hash: str) -> None:
    """The base model is what it was. Raises Problem `continue_base_changed`."""
    if start.earlier.base_model_hash != base_hash:
        raise Problem(
            "continue_base_changed",
            where=Where(field="base_model"),
            base=start.earlier.spec.base_model,
            state=start.continued.label,
        )


def keep(ctx: Context, start: Start, id: str) -> None:
    """Hold on to the weights for a new run, whatever becomes of where they came from. Takes no room where it can.

    Raises Problem `continue_weights_gone`.
    """
    try:
        _link(start.folder, run_folder(ctx.folder, id).start)
    except FileNotFoundError as error:
        raise Problem("continue_weights_gone", where=_FIELD, state=start.continued.label) from error


def share(ctx: Context, earlier: str, id: str) -> None:
    """Hold on to what an earlier run began with, for one that does the same again. Raises FileNotFoundError."""
    _link(run_folder(ctx.folder, earlier).start, run_folder(ctx.folder, id).start)


def _link(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    try:
        for path in model_files(source):
            try:
                os.link(path, target / path.name)
            except FileNotFoundError:
                raise
            except OSError:  # another disk, or a file system without links
                copy_file(path, target / path.name)
    except FileNotFoundError:
        shutil.rmtree(target.parent)
        raise
    fsync_folder(target)


def related(ctx: Context, id: str) -> RelatedRun:
    """A run as others speak of it."""
    row = ctx.conn.execute(_related().where(run.c.id == id)).one()
    return _relation(ctx, row, row.progress["step"])


def may_go_on(ctx: Context, id: str) -> bool:
    """Whether a run has a model that a training can go on from."""
    row = need_run(ctx, id)
    return writes_text(row.method) and bool(states(ctx, row))


def states(ctx: Context, row: Row[Any]) -> list[State]:
    """Every state of a run's model whose weights are there, furthest first."""
    found: dict[int, State] = {}
    for one in _states(ctx, row):
        if one.step not in found and one.folder.is_dir():
            found[one.step] = one
    return sorted(found.values(), key=lambda one: one.step, reverse=True)


def ancestors(ctx: Context, resolved: ResolvedSpec) -> list[RelatedRun]:
    """The runs whose model one began with, the first of them first."""
    found: list[RelatedRun] = []
    continued = resolved.continues
    while continued is not None:
        row = ctx.conn.execute(_related().where(run.c.id == continued.run)).one()
        found.append(_relation(ctx, row, continued.step))
        continued = ResolvedSpec.model_validate(row.resolved).continues
    return found[::-1]


def continued_by(ctx: Context, id: str) -> list[RelatedRun]:
    """Runs that began with a model of this one, newest first."""
    rows = ctx.conn.execute(_related().where(run.c.continues_id == id).order_by(run.c.created.desc()))
    return [_relation(ctx, row, row.resolved["continues"]["step"]) for row in rows]


def _related() -> Any:
    return select(run, job.c.name).join(job, job.c.id == run.c.job_id)


def _relation(ctx: Context, row: Row[Any], step: int) -> RelatedRun:
    published = _published(ctx, row.id)
    last = published[max(published)][0] if published else None
    return RelatedRun(
        id=row.id,
        name=f"{row.name} #{row.number}",
        state=row.state,
        method=row.method,
        step=step,
        model=published[step][0] if step in published else last,
    )


def meant(ctx: Context, wanted: ContinueSpec) -> tuple[Row[Any], State]:
    """The run that is meant, and the state of its model.

    Raises Problem `not_found`, `continue_no_model`, `continue_weights_gone`.
    """
    row, step = _run_meant(ctx, wanted)
    known = [one.step for one in _states(ctx, row)]
    found = states(ctx, row)
    if step is None and found:
        final = _final(row)
        return row, next((one for one in found if final and one.step == final.step), found[0])
    name = f"{row.name} #{row.number}"
    for one in found:
        if one.step == step:
            return row, one
    if step in known or (step is None and known):
        state = f"{name} @ step {max(known) if step is None else step:,}"
        raise Problem("continue_weights_gone", where=_FIELD, state=state)
    detail = f"it has no checkpoint at step {step:,}" if step is not None else f"it is {row.state}"
    raise Problem("continue_no_model", where=_FIELD, run=name, detail=detail)


def _run_meant(ctx: Context, wanted: ContinueSpec) -> tuple[Row[Any], int | None]:
    """The run, and the step: of a published model its own."""
    if version := re.fullmatch(r"([^\s#]+):([0-9]{1,9})", wanted.run):
        row = ctx.conn.execute(
            select(model_version.c.run_id, model_version.c.step)
            .join(model, model.c.id == model_version.c.model_id)
            .where(
                model_version.c.project_id == ctx.project,
                model.c.name == version[1],
                model_version.c.version == int(version[2]),
            )
        ).one_or_none()
        if row is None:
            raise Problem("not_found", noun="model", name=wanted.run, list="tunery models list")
        return need_run(ctx, row.run_id), row.step if wanted.step is None else wanted.step
    row = need_run(ctx, wanted.run)
    if row.name == wanted.run and not states(ctx, row):
        others = ctx.conn.scalars(
            select(run.c.id)
            .where(run.c.job_id == row.job_id, run.c.number < row.number)
            .order_by(run.c.number.desc())
            .limit(_LOOKED_AT)
        ).all()
        for id in others:
            other = need_run(ctx, id)
            if states(ctx, other):
                return other, wanted.step
    return row, wanted.step


def _states(ctx: Context, row: Row[Any]) -> list[State]:
    """Where states of a run's model may lie; of one step the best place first."""
    final = _final(row)
    saved = ctx.conn.execute(
        select(checkpoint.c.step, checkpoint.c.folder, checkpoint.c.created)
        .where(checkpoint.c.run_id == row.id)
        .order_by(checkpoint.c.attempt.desc())
    )
    published = _published(ctx, row.id)
    made = {
        one.step: one.created
        for one in ctx.conn.execute(
            select(model_version.c.step, model_version.c.created).where(model_version.c.run_id == row.id)
        )
    }
    return [
        *([final] if final else []),
        *(State(step, folder, made[step]) for step, (_, folder) in published.items()),
        *(State(one.step, Path(one.folder), one.created) for one in saved),
    ]


def _final(row: Row[Any]) -> State | None:
    if row.result is None or row.result["train"]["output"] is None:
        return None
    folder = AttemptFolder(Path(row.result["folder"])).output
    return State(row.result["train"]["steps"], folder, row.ended or now_us())


def _published(ctx: Context, id: str) -> dict[int, tuple[str, Path]]:
    """What was published of a run: name and folder by step."""
    found = ctx.conn.execute(
        select(model.c.name, model_version)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model_version.c.run_id == id)
    )
    return {row.step: (f"{row.name}:{row.version}", Path(row.folder)) for row in found}


def _check_age(ctx: Context, continued: Continued) -> None:
    limit = ctx.settings.continue_days
    age = now_us() - continued.created
    if limit and age > limit * _DAY_US:
        raise Problem(
            "continue_too_old",
            where=_FIELD,
            state=continued.label,
            days=f"{age / _DAY_US:,.0f}",
            limit=f"{limit:g}",
        )


def _check_method(method: str, continued: Continued) -> None:
    for one, detail in (
        (method, "it gives scores and writes no text"),
        (continued.method, "that model gives scores and writes no text"),
    ):
        if not writes_text(one):
            raise Problem(
                "continue_method",
                where=Where(field="method"),
                method=METHODS.load(method).TITLE,
                state=continued.label,
                detail=detail,
            )
