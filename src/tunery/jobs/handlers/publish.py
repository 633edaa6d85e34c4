"""Publishes: copies a trained model to its own place, checks it, and moves the model's pointer to it."""

import os
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select, update

from tunery.core.attempt import AttemptFolder, Want, run_folder
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.files import copy_file, fsync_folder, hash_folder
from tunery.core.folder import DataFolder
from tunery.core.ids import new_id
from tunery.db.engine import reading
from tunery.db.tables import checkpoint, job, model, model_version, run
from tunery.jobs import stages
from tunery.jobs.queue import Claim, finish
from tunery.jobs.states import move_run
from tunery.jobs.work import Work
from tunery.models.folder import is_adapter, model_files
from tunery.schemas.run import ResolvedSpec, RunState

API_VERSION = 1


def work(work: Work) -> None:
    claim = work.claim
    assert claim.run is not None
    with reading(work.engine) as connection:
        row = connection.execute(
            select(run, job.c.name).join(job, job.c.id == run.c.job_id).where(run.c.id == claim.run)
        ).one()
    automatic = not claim.payload.get("by_hand")
    if automatic:
        with work.writing() as connection:
            move_run(connection, claim.run, "running", reason=None)
            stages.mark(connection, claim.run, "publish", "running")
    source, step = _source(work, row, claim.payload.get("step"))
    with reading(work.engine) as connection:
        existing = _version_of(connection, row, step)
    copied = None if existing else _copy(work, source)
    with work.writing() as connection:
        want: Want = "run"
        if automatic:
            want = connection.scalars(select(run.c.want).where(run.c.id == claim.run)).one()
        made = _version_of(connection, row, step)  # another publishing may have been quicker
        if want != "run":
            _leave_off(connection, claim, want)
        else:
            if made is not None:
                _refuse_second_name(connection, made, _name(claim, row))
            if made is None:
                assert copied is not None
                made, copied = copied, None
                _point_to(connection, claim, row, made, step, work)
            connection.execute(update(run).where(run.c.id == claim.run).values(model_version_id=made))
            finish(connection, claim, "succeeded", result={"model_version": made})
            if automatic:
                stages.mark(connection, claim.run, "publish", "succeeded")
                stages.go_on(connection, claim.project, claim.run)
    if copied is not None:
        shutil.rmtree(DataFolder(work.settings.folder).models / copied, ignore_errors=True)


def _version_of(connection: Connection, row: Row[Any], step: int) -> str | None:
    """The version that was made of this run's model at a step."""
    same = (model_version.c.run_id == row.id) & (model_version.c.step == step)
    return connection.scalar(select(model_version.c.id).where(same))


def _name(claim: Claim, row: Row[Any]) -> str:
    """The model's name."""
    return claim.payload.get("name") or row.resolved["spec"]["publish"]["name"] or row.name


def _refuse_second_name(connection: Connection, version: str, wanted: str) -> None:
    """One state of one run is one version; another publishing may have given it another name meanwhile."""
    found = connection.execute(
        select(model.c.name, model_version.c.version, model_version.c.step)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model_version.c.id == version)
    ).one()
    if found.name != wanted:
        raise Problem("already_published", step=found.step, model=f"{found.name}:{found.version}")


def _leave_off(connection: Connection, claim: Claim, want: Want) -> None:
    """Somebody stopped, paused or cancelled before the version was there."""
    assert claim.run is not None
    finish(connection, claim, "succeeded" if want == "pause" else "cancelled")
    stages.mark(connection, claim.run, "publish", "waiting" if want == "pause" else "skipped")
    state: RunState = "paused" if want == "pause" else "stopped" if want == "stop" else "cancelled"
    stages.end(connection, claim.project, claim.run, state)


def _source(work: Work, row: Row[Any], step: int | None) -> tuple[Path, int]:
    if step is None:
        folder = AttemptFolder(Path(row.result["folder"])).output
        if not folder.exists():
            raise Problem("not_publishable", run=row.id, detail="its files are gone")
        return folder, int(row.result["train"]["steps"])
    with reading(work.engine) as connection:
        found = connection.scalars(
            select(checkpoint.c.folder)
            .where(checkpoint.c.run_id == row.id, checkpoint.c.step == step)
            .order_by(checkpoint.c.attempt.desc())
        ).all()
    for folder in found:
        if Path(folder).exists():
            return Path(folder), step
    raise Problem("not_publishable", run=row.id, detail=f"the checkpoint of step {step} was trimmed")


def _copy(work: Work, source: Path) -> str:
    """Copy the model's files (not the optimizer's) aside, then rename: whole or absent.

    Names follow from the task, so that what a killed worker left is found and replaced.
    """
    id = f"mv_{work.claim.task.partition('_')[2]}"
    target = DataFolder(work.settings.folder).models / id
    for left in (target, *target.parent.glob(f".{id}.*")):
        shutil.rmtree(left, ignore_errors=True)
    aside = target.with_name(f".{id}.{work.claim.token}")
    aside.mkdir(parents=True)
    try:
        for path in model_files(source):
            copy_file(path, aside / path.name)
        os.rename(aside, target)
        fsync_folder(target.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return id


def _point_to(connection: Connection, claim: Claim, row: Row[Any], id: str, step: int, work: Work) -> None:
    """Insert the version and move the pointer, in the transaction that ends the task."""
    resolved = ResolvedSpec.model_validate(row.resolved)
    name = _name(claim, row)
    folder = DataFolder(work.settings.folder).models / id
    found = connection.execute(
        select(model).where(model.c.project_id == claim.project, model.c.name == name).with_for_update()
    ).one_or_none()
    model_id = found.id if found else new_id("model")
    version = (found.latest if found else 0) + 1
    if found is None:
        connection.execute(
            model.insert().values(id=model_id, project_id=claim.project, name=name, created=now_us())
        )
    connection.execute(
        model_version.insert().values(
            id=id,
            project_id=claim.project,
            model_id=model_id,
            version=version,
            kind="adapter" if is_adapter(folder) else "full",
            base_model=row.base_model,
            base_path=_below(work, row, resolved),
            folder=str(folder),
            run_id=row.id,
            step=step,
            lineage={
                "continued_from": resolved.began_with,
                "datasets": resolved.learnt_from,
                "hashes": resolved.data_hashes,
                "recipe": resolved.recipe_hash,
            },
            evaluation_id=row.evaluation_id,
            content_hash=hash_folder(folder),
            bytes=sum(path.stat().st_size for path in folder.iterdir()),
            licence=row.inputs.get("licence"),
            created=now_us(),
        )
    )
    connection.execute(update(model).where(model.c.id == model_id).values(latest=version))
    stages.note(connection, claim.project, row.id, f"Published as {name}:{version}.")


def _below(work: Work, row: Row[Any], resolved: ResolvedSpec) -> str:
    """The folder of all weights that an adapter of this run stands on."""
    if resolved.continues is not None and resolved.continues.kind == "full":
        return str(run_folder(work.settings.folder, row.id).start)
    return row.inputs["base_model"]


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    assert claim.run is not None
    if not claim.payload.get("by_hand"):
        stages.fail(connection, claim.project, claim.run, "publish", problem)
