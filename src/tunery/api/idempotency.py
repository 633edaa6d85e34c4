"""The same request twice is one request: answers are kept under the client's Idempotency-Key.

The answer is stored in the transaction that did the work, so a client that lost the answer asks again and
gets it, and of many at once one does the work.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header
from pydantic import BaseModel
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.errors import Problem
from tunery.db.tables import idempotency
from tunery.services.context import Context

_KEPT_US = 7 * 24 * 3600 * MICROSECONDS
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Any string you choose; the same request with the same key is carried out once.",
    ),
]


@dataclass(frozen=True)
class Once:
    """How often this request may be carried out: once for its key, or always when it has none."""

    key: str | None
    digest: str

    def answer(self, context: Context, status: int, work: Callable[[], BaseModel]) -> Response:
        """Do the work, or repeat the answer it had the first time."""
        if self.key is None:
            return _json(work().model_dump(mode="json"), status)
        if not self._reserve(context, status):
            return self._repeat(context)
        body = work().model_dump(mode="json")
        context.conn.execute(idempotency.update().where(self._mine(context)).values(body=body))
        return _json(body, status)

    def _reserve(self, context: Context, status: int) -> bool:
        """Take the key; False when it is taken. Waits for another request that is taking it."""
        old = idempotency.c.created < now_us() - _KEPT_US
        context.conn.execute(delete(idempotency).where(idempotency.c.project_id == context.project, old))
        row = {"project_id": context.project, "key": self.key, "request": self.digest}
        try:
            with context.conn.begin_nested():
                context.conn.execute(
                    idempotency.insert().values(**row, status=status, body={}, created=now_us())
                )
        except IntegrityError:
            return False
        return True

    def _repeat(self, context: Context) -> Response:
        stored = context.conn.execute(select(idempotency).where(self._mine(context))).one()
        if stored.request != self.digest:
            raise Problem("idempotency_conflict", key=self.key)
        return _json(stored.body, stored.status, {"Idempotent-Replayed": "true"})

    def _mine(self, context: Context):
        return (idempotency.c.project_id == context.project) & (idempotency.c.key == self.key)


async def _once(request: Request, key: _Key = None) -> Once:
    body = await request.body()
    head = f"{request.method} {request.url.path}\n".encode()
    return Once(key, hashlib.sha256(head + body).hexdigest())


ByKey = Annotated[Once, Depends(_once)]


def _json(body: object, status: int, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(body, status_code=status, headers=headers)
