"""The replica's HTTP side: health, adapters, answers as JSON lines. Who may ask is the socket's affair."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from tunery.core.errors import Problem
from tunery.replica.adapters import Adapters
from tunery.replica.answer import Answer, Line
from tunery.replica.decoder import Decoder
from tunery.replica.prompts import Prompts
from tunery.schemas.serving import GenerateRequest, LoadAdapterRequest, TextLine


def create_app(prompts: Prompts, decoder: Decoder, adapters: Adapters) -> FastAPI:
    """The routes of one replica."""
    app = FastAPI(openapi_url=None)

    @app.exception_handler(Problem)
    async def show(_: Request, problem: Problem) -> Response:
        return JSONResponse(problem.as_dict(), status_code=problem.status)

    @app.get("/health")
    async def health() -> dict[str, object]:
        return {"status": "ok", "adapters": adapters.names, "context": prompts.context, **decoder.load()}

    @app.post("/adapters", status_code=204)
    async def load(body: LoadAdapterRequest) -> None:
        await adapters.load(body.name, Path(body.path))

    @app.delete("/adapters/{name:path}", status_code=204)
    async def unload(name: str) -> None:
        await adapters.unload(name)

    @app.post("/generate")
    async def generate(body: GenerateRequest) -> Response:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(adapters.use(body.adapter))
            lines: asyncio.Queue[Line] = asyncio.Queue()
            loop = asyncio.get_running_loop()

            def emit(line: Line) -> None:
                loop.call_soon_threadsafe(lines.put_nowait, line)

            answer = prompts.answer(body, emit)
            decoder.submit(answer)
            return _AnswerResponse(answer, lines, stack.pop_all())

    return app


class _AnswerResponse(StreamingResponse):
    """The lines of an answer as they come. When the client goes away the answer is dropped."""

    def __init__(self, answer: Answer, lines: asyncio.Queue[Line], held: AsyncExitStack) -> None:
        super().__init__(_until_the_end(lines), media_type="application/x-ndjson")
        self._answer = answer
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            try:
                await super().__call__(scope, receive, send)
            finally:
                self._answer.cancelled = True


async def _until_the_end(lines: asyncio.Queue[Line]) -> AsyncIterator[bytes]:
    while True:
        line = await lines.get()
        yield line.model_dump_json().encode() + b"\n"
        if not isinstance(line, TextLine):
            return
