"""Sending calls over httpx, one class for each of the two ways; what they share is plain functions.

It doesn't know any route.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

import httpx
import orjson

from tunery.core.error_kinds import KINDS
from tunery.core.errors import Problem
from tunery.sdk.call import Call, Flow, Pause
from tunery.sdk.config import ClientConfig
from tunery.sdk.stream import Lines

T = TypeVar("T")
RETRY_WAITS = (0.2, 0.5, 1.0)
TIMEOUT = httpx.Timeout(60.0, connect=10.0, write=None)
STREAM_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


def _arguments(call: Call[Any]) -> dict[str, Any]:
    query = {name: value for name, value in call.query.items() if value is not None and value != []}
    arguments: dict[str, Any] = {"params": query, "headers": dict(call.headers)}
    if call.body is not None:
        arguments["content"] = orjson.dumps(call.body)
        arguments["headers"]["Content-Type"] = "application/json"
    elif call.content is not None:
        arguments["content"] = call.content
    return arguments


def _waits(call: Call[Any]) -> tuple[float, ...]:
    return RETRY_WAITS if call.safe or call.method == "GET" else ()


def problem_of(status: int, content: bytes, url: str) -> Problem:
    """The Problem an answer with an error status carries, in our shape or OpenAI's."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return Problem("foreign_answer", url=url, status=status)
    if not isinstance(document, dict):
        return Problem("foreign_answer", url=url, status=status)
    error = document.get("error")
    if isinstance(error, dict):
        return Problem("refused", detail=str(error.get("message", status)))
    if document.get("code") not in KINDS:
        said = document.get("message") or f"it answered with status {status}"
        return Problem("refused", detail=f"{said} {document.get('cure', '')}".strip())
    problem = Problem.from_dict(document)
    try:
        _ = str(problem), [part.cli_cure for part in problem.parts]
    except (KeyError, IndexError):  # a newer server may know the code with other parameters
        return Problem("refused", detail=str(document.get("message")))
    return problem


def _read(call: Call[T], answer: httpx.Response) -> T:
    if answer.is_success:
        return call.read(answer.content)
    raise problem_of(answer.status_code, answer.content, str(answer.url))


def _headers(config: ClientConfig) -> dict[str, str]:
    return {"Authorization": f"Bearer {config.token}"} if config.token else {}


class SyncSender:
    """Sends at once and returns the answer."""

    def __init__(self, config: ClientConfig) -> None:
        self.url = config.url
        self._http = httpx.Client(base_url=config.url, headers=_headers(config), timeout=TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Raises the Problem the server answers with, or `no_server`."""
        waits = iter(_waits(call))
        while True:
            try:
                answer = self._http.request(call.method, call.path, **_arguments(call))
                return _read(call, answer)
            except httpx.TransportError as error:
                wait = next(waits, None)
                if wait is None:
                    raise Problem("no_server", url=self.url) from error
                time.sleep(wait)

    def run(self, flow: Flow[T]) -> T:
        """Send a flow's calls one after the other; it may handle the Problems they end with."""
        go_on = partial(flow.send, None)
        while True:
            try:
                step = go_on()
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                go_on = partial(flow.send, None)
                continue
            try:
                go_on = partial(flow.send, self.send(step))
            except Problem as problem:
                go_on = partial(flow.throw, problem)

    @contextmanager
    def lines(self, call: Call[Any]) -> Iterator[Iterator[str]]:
        """The lines of an answer as they come. Raises httpx.TransportError when the connection breaks."""
        arguments = _arguments(call)
        with self._http.stream(call.method, call.path, timeout=STREAM_TIMEOUT, **arguments) as answer:
            if not answer.is_success:
                raise problem_of(answer.status_code, answer.read(), str(answer.url))
            cut = Lines()
            yield (line for content in answer.iter_bytes() for line in cut.feed(content))


class WaitingSender:
    """Sends and returns an awaitable of the answer."""

    def __init__(self, config: ClientConfig) -> None:
        self.url = config.url
        self._http = httpx.AsyncClient(base_url=config.url, headers=_headers(config), timeout=TIMEOUT)

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Raises the Problem the server answers with, or `no_server`."""
        waits = iter(_waits(call))
        while True:
            try:
                answer = await self._http.request(call.method, call.path, **_arguments(call))
                return _read(call, answer)
            except httpx.TransportError as error:
                wait = next(waits, None)
                if wait is None:
                    raise Problem("no_server", url=self.url) from error
                await asyncio.sleep(wait)

    async def run(self, flow: Flow[T]) -> T:
        """Send a flow's calls one after the other; it may handle the Problems they end with."""
        go_on = partial(flow.send, None)
        while True:
            try:
                step = go_on()
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                go_on = partial(flow.send, None)
                continue
            try:
                go_on = partial(flow.send, await self.send(step))
            except Problem as problem:
                go_on = partial(flow.throw, problem)

    @asynccontextmanager
    async def lines(self, call: Call[Any]) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of an answer as they come. Raises httpx.TransportError when the connection breaks."""
        arguments = _arguments(call)
        async with self._http.stream(call.method, call.path, timeout=STREAM_TIMEOUT, **arguments) as answer:
            if not answer.is_success:
                raise problem_of(answer.status_code, await answer.aread(), str(answer.url))
            cut = Lines()
            yield (line async for content in answer.aiter_bytes() for line in cut.feed(content))
