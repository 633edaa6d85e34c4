"""Newest-first lists, a page at a time."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Row, Select, Table, select, tuple_

from tunery.core.errors import Problem
from tunery.schemas.project import Page
from tunery.services.context import Context

T = TypeVar("T")


def page(
    ctx: Context,
    table: Table,
    query: Select[Any],
    make: Callable[[Row[Any]], T],
    *,
    limit: int,
    after: str | None,
) -> Page[T]:
    """The part of `query` over `table` that follows the row with id `after`."""
    query = query.where(table.c.project_id == ctx.project)
    if after is not None:
        pivot = ctx.conn.execute(
            select(table.c.created).where(table.c.id == after, table.c.project_id == ctx.project)
        ).one_or_none()
        if pivot is None:
            raise Problem("not_found", noun="item to go on after", name=after, list="the first page")
        # Ids sort by time of making, so they break ties between rows of one microsecond.
        query = query.where(tuple_(table.c.created, table.c.id) < tuple_(pivot.created, after))
    rows = ctx.conn.execute(query.order_by(table.c.created.desc(), table.c.id.desc()).limit(limit + 1)).all()
    return Page(data=[make(row) for row in rows[:limit]], has_more=len(rows) > limit)
