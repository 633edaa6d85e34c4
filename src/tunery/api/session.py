"""One request, one transaction: opened before the handler, committed after it and before the answer is sent.

Handlers and services never commit. A Problem (any exception) rolls everything back. A handler that takes `Separate`
opens several.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from tunery.api.auth import Project
from tunery.core.settings import ServerSettings
from tunery.services.context import Context

# A transaction is opened in one thread of the pool and used in another. If as many waited for the database's
# lock as there are threads, the one that holds it would find no thread to go on in.
_READS_AT_ONCE = 8
_WRITES_AT_ONCE = 4


def _reading(request: Request, project: Project) -> Iterator[Context]:
    with request.app.state.tunery.context(project, write=False) as context:
        yield context


def _writing(request: Request, project: Project) -> Iterator[Context]:
    with request.app.state.tunery.context(project) as context:
        yield context


Reading = Annotated[Context, Depends(_reading, scope="function", max_concurrency=_READS_AT_ONCE)]
"""A handler that takes this can't change anything."""
Writing = Annotated[Context, Depends(_writing, scope="function", max_concurrency=_WRITES_AT_ONCE)]


@dataclass(frozen=True)
class Transactions:
    """Short transactions, opened one after the other."""

    server: ServerSettings
    _open: Callable[..., AbstractContextManager[Context]]
    _project: str

    def reading(self) -> AbstractContextManager[Context]:
        return self._open(self._project, write=False)

    def writing(self) -> AbstractContextManager[Context]:
        return self._open(self._project)


def _separate(request: Request, project: Project) -> Transactions:
    state = request.app.state.tunery
    return Transactions(state.settings, state.context, project)


Separate = Annotated[Transactions, Depends(_separate)]
"""For a handler that talks to someone else's service in between: none is open meanwhile."""
