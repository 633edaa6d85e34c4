"""The routes under /v1, for OpenAI's client as it is.

Takes from `app.state.tunery`: `authenticate(request) -> project`, `context(project, write=…)`, `pool`. The
database is asked for the target and let go before a model says its first word.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import orjson
from anyio import CancelScope
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from tunery.core.errors import Problem
from tunery.openai.answers import Completion, model_card
from tunery.openai.problems import error_event
from tunery.openai.requests import ChatRequest
from tunery.schemas.serving import EndLine, TextLine
from tunery.services import serving
from tunery.services.context import Context

T = TypeVar("T")
Line = TextLine | EndLine
Lines = AsyncGenerator[Line, None]


def create_router() -> APIRouter:
    """Models and chat."""
    router = APIRouter(prefix="/v1", include_in_schema=False)

    @router.get("/models")
    async def list_models(request: Request) -> Response:
        targets = await _ask(request, serving.list_targets)
        cards = [model_card(target) for target in targets]
        return JSONResponse({"object": "list", "data": cards, "has_more": False})

    @router.get("/models/{model:path}")
    async def get_model(request: Request, model: str) -> Response:
        target = await _ask(request, lambda context: serving.find_target(context, model))
        return JSONResponse(model_card(target))

    @router.post("/chat/completions")
    async def chat(request: Request, body: ChatRequest) -> Response:
        asked = body.generate_request()
        target = await _ask(request, lambda context: serving.find_target(context, body.model))
        lines = request.app.state.tunery.pool.answer(target, asked)
        completion = Completion(body.model, with_logprobs=bool(body.logprobs))
        work = _first_event if body.stream else _whole
        return await _until_gone(request, work(completion, lines, body))

    return router


async def _ask(request: Request, find: Callable[[Context], T]) -> T:
    """Look something up for the caller in a short transaction."""
    state = request.app.state.tunery

    def look_up() -> T:
        with state.context(state.authenticate(request), write=False) as context:
            return find(context)

    return await run_in_threadpool(look_up)


async def _whole(completion: Completion, lines: Lines, _: ChatRequest) -> Response:
    async with aclosing(lines):
        async for line in lines:
            if isinstance(line, EndLine):
                return JSONResponse(completion.whole(line))
            assert isinstance(line, TextLine)
            completion.take(line)
    raise Problem("answer_broken_off", name=completion.model, detail="it ended unexpectedly")


async def _first_event(completion: Completion, lines: Lines, body: ChatRequest) -> Response:
    """Wait for the first line, so that what goes wrong before it is told by the status."""
    try:
        first = await anext(lines)
    except BaseException:
        await lines.aclose()
        raise
    return _ChatStream(_events(completion, first, lines, body.includes_usage), lines)


async def _events(
    completion: Completion, first: Line, lines: Lines, with_usage: bool
) -> AsyncIterator[bytes]:
    yield _event(completion.opening())
    line: Line | None = first
    try:
        while isinstance(line, TextLine):
            yield _event(completion.piece(line))
            line = await anext(lines, None)
    except Problem as problem:
        yield error_event(problem)
        return
    if not isinstance(line, EndLine):
        yield error_event(Problem("answer_broken_off", name=completion.model, detail="it ended unexpectedly"))
        return
    yield _event(completion.closing(line))
    if with_usage:
        yield _event(completion.usage_chunk(line))
    yield b"data: [DONE]\n\n"


class _ChatStream(StreamingResponse):
    """Server-sent events. However it ends, the answer is given up with it."""

    def __init__(self, events: AsyncIterator[bytes], lines: Lines) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await self._lines.aclose()


async def _until_gone(request: Request, work: Coroutine[None, None, Response]) -> Response:
    """Do the work, or give it up when the client goes away before there is an answer."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response(status_code=499)
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"
