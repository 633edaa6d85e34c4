"""What is said, and counted as idle, of the time between two attempts at a stage. It knows no engine."""

from sqlalchemy import Connection, func, select

from tunery.core.clock import MICROSECONDS, now_us
from tunery.db.tables import attempt, checkpoint
from tunery.jobs import stages
from tunery.jobs.queue import Claim

GAVE_WAY = "gave way"
"""How an attempt ended that another run's wish for the slot ended."""


def furthest(connection: Connection, run_id: str) -> int:
    """The step of a run's newest checkpoint."""
    return connection.scalar(select(func.max(checkpoint.c.step)).where(checkpoint.c.run_id == run_id)) or 0


def tell_of_gap(connection: Connection, claim: Claim, stage: str, number: int) -> None:
    """Say how long nobody worked on the stage before attempt `number`. Inside the transaction that opens it."""
    assert claim.run is not None
    last = connection.execute(
        select(attempt.c.ended, attempt.c.outcome)
        .where(attempt.c.task_id == claim.task)
        .order_by(attempt.c.number.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.ended is None:
        return
    gap = max(0, now_us() - last.ended)
    if last.outcome == GAVE_WAY:  # its stage went back to waiting, so no idle time is in it
        says = f"Continues after {gap / MICROSECONDS:,.0f} s, from step {furthest(connection, claim.run)}."
    else:
        stages.add_idle(connection, claim.run, stage, gap)
        step = furthest(connection, claim.run) if stage == "train" else 0
        where = f"continues from step {step}" if step else "starts again from the beginning"
        says = f"{stages.NOUNS[stage]} {where}, {_span(gap)} after it was interrupted (attempt {number})."
    stages.note(connection, claim.project, claim.run, says)


def _span(microseconds: int) -> str:
    seconds = round(microseconds / MICROSECONDS)
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h {seconds % 3600 // 60} min"
