"""Finding a run by what people call it."""

import re
from typing import Any

from sqlalchemy import Row, select

from tunery.core.errors import Problem
from tunery.db.tables import job, run
from tunery.services.context import Context

LIST = "tunery runs list"


def need_run(ctx: Context, id: str) -> Row[Any]:
    """The table's row of a run, with its job's name: by id, by `name #2`, or the newest run of a name.

    Raises Problem `not_found`.
    """
    query = select(run, job.c.name, job.c.description).join(job, job.c.id == run.c.job_id)
    row = ctx.conn.execute(query.where(run.c.project_id == ctx.project, run.c.id == id)).one_or_none()
    if row is None:  # asked apart, so that either finds its index
        name, number = _numbered(id)
        named = query.where(job.c.project_id == ctx.project, job.c.name == name)
        if number is not None:
            named = named.where(run.c.number == number)
        row = ctx.conn.execute(named.order_by(run.c.number.desc()).limit(1)).one_or_none()
    if row is None:
        raise Problem("not_found", noun="run", name=id, list=LIST)
    return row


def _numbered(text: str) -> tuple[str, int | None]:
    """`name #2` as name and number."""
    name, _, number = text.rpartition("#")
    return (name.strip(), int(number)) if name and re.fullmatch("[0-9]{1,9}", number) else (text, None)
