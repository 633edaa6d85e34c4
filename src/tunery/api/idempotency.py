"""The same request twice is one request: answers are kept under the client's Idempotency-Key.

The answer is stored in the transaction that did the work, so a client that lost the answer asks again and
gets it, and of many at once one does the work.

Some clients repeat a request by themselves when its answer is lost, and send no key: OpenAI's only counts, in
`X-Stainless-Retry-Count`. A repetition of the same bytes soon after is the same request.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header
from pydantic import BaseModel
from sqlalchemy import delete, select, true
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.errors import Problem
from tunery.db.tables import idempotency
from tunery.services.context import Context

_KEPT_US = 7 * 24 * 3600 * MICROSECONDS
_REPEATED_US = 180 * MICROSECONDS
"""A client that repeats by itself does so within this time."""
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Any string you choose; the same request with the same key is carried out once.",
    ),
]
_Retry = Annotated[int | None, Header(alias="X-Stainless-Retry-Count", ge=0, include_in_schema=False)]


@dataclass(frozen=True)
class Once:
    """How often this request may be carried out: once for its key, or always when it has none."""

    key: str | None
    digest: str
    repeated: bool | None = None
    """Whether a client that sends no key but counts says that it asked before; None where it doesn't count."""

    def answer(self, context: Context, status: int, work: Callable[[], BaseModel]) -> Response:
        """Do the work, or repeat the answer it had the first time."""
        if self.key is None:
            return _json(work().model_dump(mode="json"), status)
        if self.repeated is not None:
            self._forget(context, now_us() - _REPEATED_US if self.repeated else None)
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

    def _forget(self, context: Context, before: int | None) -> None:
        """A request that the client makes anew isn't the one before; nor is one that was answered long ago."""
        old = idempotency.c.created < before if before is not None else true()
        context.conn.execute(delete(idempotency).where(self._mine(context), old))

    def _repeat(self, context: Context) -> Response:
        stored = context.conn.execute(select(idempotency).where(self._mine(context))).one()
        if stored.request != self.digest:
            raise Problem("idempotency_conflict", key=self.key)
        return _json(stored.body, stored.status, {"Idempotent-Replayed": "true"})

    def _mine(self, context: Context):
        return (idempotency.c.project_id == context.project) & (idempotency.c.key == self.key)


async def _once(request: Request, key: _Key = None, retry: _Retry = None) -> Once:
    body = await request.body()
    head = f"{request.method} {request.url.path}\n".encode()
    digest = hashlib.sha256(head + body).hexdigest()
    if key is None and retry is not None:
        return Once(f"retried {digest}", digest, repeated=retry > 0)
    return Once(key, digest)


ByKey = Annotated[Once, Depends(_once)]


def _json(body: object, status: int, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(body, status_code=status, headers=headers)
