"""What is found out about versions on the queue, once: asked for, under way, or there.

An outcome belongs to a subject: the hash of all that it depends on. Versions with the same rows share it. This
module doesn't know what is found out.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Row, select, update

from tunery.core.clock import now_us
from tunery.core.ids import new_id
from tunery.db.tables import analysis, task
from tunery.jobs.line import enqueue
from tunery.schemas.statistics import AnalysisState
from tunery.services.context import Context

_SELECT = select(analysis, task.c.payload, task.c.state, task.c.reason, task.c.progress).join(
    task, task.c.id == analysis.c.task_id
)
_STATES: dict[str, AnalysisState] = {"queued": "queued", "running": "running", "succeeded": "done"}


@dataclass(frozen=True)
class Analysis:
    """One outcome, or how far it is."""

    task: str
    payload: dict[str, Any]
    state: AnalysisState
    progress: dict[str, Any] | None
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    detail: str | None
    computed: int | None

    @property
    def status(self) -> dict[str, Any]:
        """The fields that every document about an analysis has."""
        return {"task": self.task, "state": self.state, "progress": self.progress, "error": self.error}


def subject_of(**parts: Any) -> str:
    """The hash of all that an outcome depends on."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def find(ctx: Context, kind: str, subject: str) -> Analysis | None:
    """An outcome, or how far it is; None where nobody asked for it."""
    row = _row(ctx, kind, subject)
    return None if row is None else _analysis(row)


def about(ctx: Context, kind: str, content_hash: str) -> list[Analysis]:
    """All of a kind that are about these rows, the newest first."""
    found = ctx.conn.execute(
        _SELECT.where(
            analysis.c.project_id == ctx.project,
            analysis.c.kind == kind,
            analysis.c.content_hash == content_hash,
        ).order_by(analysis.c.created.desc())
    )
    return [_analysis(row) for row in found]


def ask(
    ctx: Context, kind: str, subject: str, content_hash: str, payload: dict[str, Any], *, engine: bool = False
) -> Analysis:
    """As `find`; where there is none, or it failed, a task is queued to find it out; by an `engine`, if need be."""
    row = _row(ctx, kind, subject)
    if row is None or _analysis(row).state == "failed":
        id = row.id if row else new_id("ana")
        queued = enqueue(ctx.conn, kind, ctx.project, {**payload, "analysis": id}, engine=engine)
        if row is None:
            ctx.conn.execute(
                analysis.insert().values(
                    id=id,
                    project_id=ctx.project,
                    kind=kind,
                    subject=subject,
                    content_hash=content_hash,
                    task_id=queued,
                    created=now_us(),
                )
            )
        else:
            ctx.conn.execute(update(analysis).where(analysis.c.id == id).values(task_id=queued))
        row = _row(ctx, kind, subject)
    assert row is not None
    return _analysis(row)


def local_detail(ctx: Context, found: Analysis) -> Path:
    """The file with what is known of each row."""
    assert found.detail is not None
    return ctx.blobs.local_path(found.detail)


def _row(ctx: Context, kind: str, subject: str) -> Row[Any] | None:
    return ctx.conn.execute(
        _SELECT.where(
            analysis.c.project_id == ctx.project, analysis.c.kind == kind, analysis.c.subject == subject
        )
    ).one_or_none()


def _analysis(row: Row[Any]) -> Analysis:
    state = "done" if row.result is not None else _STATES.get(row.state, "failed")
    return Analysis(
        task=row.task_id,
        payload=row.payload,
        state=state,
        progress=row.progress if state == "running" else None,
        error=row.reason if state == "failed" else None,
        result=row.result,
        detail=row.detail,
        computed=row.computed,
    )
