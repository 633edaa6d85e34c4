"""Client and AsyncClient: the whole API in Python, typed, with the same resources and the same errors.

    with Client() as client:
        dataset = client.datasets.create("rows.jsonl", name="support")
        client.datasets.wait(dataset.name)
        run = client.runs.create("run.yaml")
        for event in client.runs.stream(run.id):
            print(event.step, event.type)

Every error the server answers with is raised as the `Problem` it is there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx

from tunery.core.errors import Problem
from tunery.sdk.call import Call, nothing
from tunery.sdk.chat import ChatAnswer, Messages, chat_call, delta_of
from tunery.sdk.config import ClientConfig, find_config
from tunery.sdk.routes.connections import Connections
from tunery.sdk.routes.datasets import Datasets
from tunery.sdk.routes.models import BaseModels, Deployments, Evaluations, Models, Tasks
from tunery.sdk.routes.pipelines import Pipelines
from tunery.sdk.routes.runs import Runs
from tunery.sdk.routes.server import Extensions, Health, Tokens, health
from tunery.sdk.routes.uploads import Uploads
from tunery.sdk.stream import Follower, RunEvent
from tunery.sdk.transport import SyncSender, WaitingSender

RECONNECT_WAIT = 0.5
"""Seconds before a broken stream is opened again, so that a server that restarts isn't flooded."""
PATIENCE = 60.0
"""Seconds a stream goes on knocking at a server that doesn't answer."""


def _stream_call(follower: Follower) -> Call[None]:
    return Call("GET", follower.path, nothing, headers=follower.headers())


class FollowedRuns(Runs[SyncSender]):
    """Runs, with their live events."""

    def stream(self, run: str, *, after: int = 0, patience: float = PATIENCE) -> Iterator[RunEvent]:
        """Events from the one after id `after` on, until the run has ended.

        A broken connection is taken up again at the right place: no event is lost or seen twice.
        Raises Problem `no_server` when no server answers for `patience` seconds.
        """
        follower = Follower(run, after)
        heard = time.monotonic()
        while not follower.ended:
            try:
                with self._sender.lines(_stream_call(follower)) as lines:
                    heard = time.monotonic()
                    for line in lines:
                        yield from follower.events(line)
                        heard = time.monotonic()
                        if follower.ended:
                            return
            except httpx.TransportError as error:
                if time.monotonic() - heard > patience:
                    raise Problem("no_server", url=self._sender.url) from error
            time.sleep(RECONNECT_WAIT)


class Client:
    """A connection to a Tunery server.

    Without arguments: TUNERY_URL and TUNERY_TOKEN, else this user's local server.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.config: ClientConfig = find_config(url, token)
        self._sender = SyncSender(self.config)
        self.datasets = Datasets(self._sender)
        self.connections = Connections(self._sender)
        self.uploads = Uploads(self._sender)
        self.base_models = BaseModels(self._sender)
        self.pipelines = Pipelines(self._sender)
        self.runs = FollowedRuns(self._sender)
        self.models = Models(self._sender)
        self.tasks = Tasks(self._sender)
        self.evaluations = Evaluations(self._sender)
        self.deployments = Deployments(self._sender)
        self.tokens = Tokens(self._sender)
        self.extensions = Extensions(self._sender)

    def health(self) -> Health:
        """Whether a server answers. Raises Problem `no_server`."""
        return self._sender.send(health())

    @overload
    def chat(
        self, model: str, messages: Messages, *, stream: Literal[False] = False, **options: Any
    ) -> ChatAnswer: ...
    @overload
    def chat(
        self, model: str, messages: Messages, *, stream: Literal[True], **options: Any
    ) -> Iterator[str]: ...
    def chat(
        self, model: str, messages: Messages, *, stream: bool = False, **options: Any
    ) -> ChatAnswer | Iterator[str]:
        """Ask a served model. With `stream` the answer comes in parts. `options` go along (`temperature` …)."""
        call = chat_call(model, messages, stream=stream, options=options)
        return self._parts(call) if stream else self._sender.send(call)

    def _parts(self, call: Call[ChatAnswer]) -> Iterator[str]:
        try:
            with self._sender.lines(call) as lines:
                for line in lines:
                    part = delta_of(line)
                    if part is None:
                        return
                    if part:
                        yield part
        except httpx.TransportError as error:
            raise Problem("no_server", url=self.config.url) from error

    def close(self) -> None:
        """Give the connections back."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FollowedRunsAsync(Runs[WaitingSender]):
    """Runs, with their live events."""

    async def stream(
        self, run: str, *, after: int = 0, patience: float = PATIENCE
    ) -> AsyncIterator[RunEvent]:
        """As `Client.runs.stream`, for `async for`."""
        follower = Follower(run, after)
        heard = time.monotonic()
        while not follower.ended:
            try:
                async with self._sender.lines(_stream_call(follower)) as lines:
                    heard = time.monotonic()
                    async for line in lines:
                        for event in follower.events(line):
                            yield event
                        heard = time.monotonic()
                        if follower.ended:
                            return
            except httpx.TransportError as error:
                if time.monotonic() - heard > patience:
                    raise Problem("no_server", url=self._sender.url) from error
            await asyncio.sleep(RECONNECT_WAIT)


class AsyncClient:
    """`Client` for asyncio: the same resources, awaited."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.config: ClientConfig = find_config(url, token)
        self._sender = WaitingSender(self.config)
        self.datasets = Datasets(self._sender)
        self.connections = Connections(self._sender)
        self.uploads = Uploads(self._sender)
        self.base_models = BaseModels(self._sender)
        self.pipelines = Pipelines(self._sender)
        self.runs = FollowedRunsAsync(self._sender)
        self.models = Models(self._sender)
        self.tasks = Tasks(self._sender)
        self.evaluations = Evaluations(self._sender)
        self.deployments = Deployments(self._sender)
        self.tokens = Tokens(self._sender)
        self.extensions = Extensions(self._sender)

    async def health(self) -> Health:
        """Whether a server answers. Raises Problem `no_server`."""
        return await self._sender.send(health())

    async def chat(self, model: str, messages: Messages, **options: Any) -> ChatAnswer:
        """Ask a served model. `options` go along (`temperature` …)."""
        return await self._sender.send(chat_call(model, messages, stream=False, options=options))

    async def chat_stream(self, model: str, messages: Messages, **options: Any) -> AsyncIterator[str]:
        """Ask a served model; the answer comes in parts."""
        try:
            async with self._sender.lines(chat_call(model, messages, stream=True, options=options)) as lines:
                async for line in lines:
                    part = delta_of(line)
                    if part is None:
                        return
                    if part:
                        yield part
        except httpx.TransportError as error:
            raise Problem("no_server", url=self.config.url) from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._sender.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
