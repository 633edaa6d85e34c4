"""Idle-time runs give way: which of them is asked to, and what is said of it.

The one that was made last is asked first. It saves, goes back to the queue, and comes back by itself, those made first
before the others. How it is told to save is the attempt's business.
"""

from collections import Counter
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from tunery.core.settings import ServerSettings
from tunery.db.engine import reading, writing
from tunery.db.tables import job, run, task
from tunery.jobs import stages
from tunery.jobs.gaps import furthest
from tunery.jobs.queue import Claim, give_back
from tunery.jobs.slots import engine_slots
from tunery.jobs.states import move_run


def make_room(engine: Engine, settings: ServerSettings) -> None:
    """Ask as many idle-time runs to give way as other runs wait for slots that aren't free."""
    with reading(engine) as connection:
        if not _chosen(connection, settings):
            return
    with writing(engine) as connection:
        for victim, next_task in _chosen(connection, settings):
            connection.execute(update(task).where(task.c.id == victim.id).values(gives_way_to=next_task))
            says = f"Asked to give way to {named(connection, next_task, victim.project_id)}."
            stages.note(connection, victim.project_id, victim.run_id, says)


def step_back(connection: Connection, claim: Claim, to: str) -> None:
    """Back in the queue, at the same place, and say for whom. Inside a `fenced` transaction."""
    assert claim.run is not None
    give_back(connection, claim, {"code": "gave_way", "to": to})
    move_run(connection, claim.run, "queued")
    stages.leave_off(connection, claim.run, "waiting")
    says = f"Gave way to {named(connection, to, claim.project)}; it continues automatically"
    says += f" from step {furthest(connection, claim.run)}."
    stages.note(connection, claim.project, claim.run, says)


def named(connection: Connection, task_id: str, project: str) -> str:
    """The name and number of a task's run, for readers of a project."""
    row = connection.execute(
        select(run.c.project_id, run.c.number, job.c.name)
        .select_from(task.join(run, run.c.id == task.c.run_id).join(job, job.c.id == run.c.job_id))
        .where(task.c.id == task_id)
    ).one_or_none()
    return f"{row.name} #{row.number}" if row is not None and row.project_id == project else "another run"


def _chosen(connection: Connection, settings: ServerSettings) -> list[tuple[Row[*tuple[Any, ...]], str]]:
    """Tasks that are to give way, each with the one that its slot is wanted for."""
    at_work = connection.execute(
        select(task.c.id, task.c.project_id, task.c.run_id, task.c.lane, task.c.gives_way_to)
        .where(task.c.state == "running", task.c.lane.in_(("engine", "idle")))
        .order_by(task.c.place.desc())
    ).all()
    could = [one for one in at_work if one.lane == "idle" and one.run_id and one.gives_way_to is None]
    if not could:
        return []
    slots = engine_slots(connection, settings.lease_seconds)
    leaving = [one for one in at_work if one.gives_way_to is not None]
    free = max(0, slots - len(at_work)) + len(leaving)
    limit = settings.project_slots or len(at_work) + slots + 1
    of_project = Counter(one.project_id for one in at_work if one.gives_way_to is None)
    waiting = connection.execute(
        select(task.c.id, task.c.project_id)
        .where(task.c.state == "queued", task.c.lane == "engine")
        .order_by(task.c.place)
        .limit(len(at_work) + slots)
    )
    chosen: list[tuple[Row[*tuple[Any, ...]], str]] = []
    for one in waiting:
        full = of_project[one.project_id] >= limit
        if free and not full:
            free -= 1
            of_project[one.project_id] += 1
            continue
        victim = next((idle for idle in could if not full or idle.project_id == one.project_id), None)
        if victim is None:
            continue
        could.remove(victim)
        of_project[victim.project_id] -= 1
        of_project[one.project_id] += 1
        chosen.append((victim, one.id))
    return chosen
