"""Tunery's own replica over transformers and PEFT: everything that trains here can answer here."""

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import httpx
import orjson

from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.schemas.serving import ANSWER_LINE, AnswerLine, GenerateRequest, LoadAdapterRequest
from tunery.serve.router import Target

API_VERSION = 1
TITLE = "Transformers"
HELP = "Answers with the weights as they were trained and judged, on the CPU, many adapters on one base."
READY_PATH = "/health"


def command(base: Path, socket: Path, settings: ServerSettings) -> list[str]:
    return [
        *(sys.executable, "-m", "tunery.replica"),
        *("--base", str(base)),
        *("--socket", str(socket)),
        *("--threads", str(settings.engine_threads)),
        *("--dtype", settings.replica_dtype),
        *("--parent", str(os.getpid())),
    ]


def why_ended(log: str) -> str:
    lines = log.strip().splitlines()
    last = lines[-1] if lines else "it left no output"
    if last.startswith('{"problem":'):
        return Problem.from_dict(orjson.loads(last)["problem"]).message.rstrip(".")
    return last[:300]


async def answer(
    client: httpx.AsyncClient, target: Target, request: GenerateRequest
) -> AsyncGenerator[AnswerLine, None]:
    body = request.model_copy(update={"adapter": target.adapter_name}).model_dump_json().encode()
    try:
        async for line in _generate(client, body):
            yield line
    except Problem as problem:
        if problem.code != "unknown_adapter":
            raise
        await _load_adapter(client, target)
        async for line in _generate(client, body):
            yield line


async def _generate(client: httpx.AsyncClient, body: bytes) -> AsyncGenerator[AnswerLine, None]:
    headers = {"content-type": "application/json"}
    async with client.stream("POST", "/generate", content=body, headers=headers) as response:
        await _check(response)
        async for line in _lines(response):
            yield ANSWER_LINE.validate_json(line)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    # httpx's own line splitting also splits at U+2028 and others that may stand inside JSON.
    rest = b""
    async for block in response.aiter_bytes():
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line


async def _load_adapter(client: httpx.AsyncClient, target: Target) -> None:
    assert target.adapter_name is not None
    request = LoadAdapterRequest(name=target.adapter_name, path=str(target.adapter_folder))
    async with client.stream("POST", "/adapters", json=request.model_dump()) as response:
        await _check(response)


async def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    body = await response.aread()
    try:
        problem = Problem.from_dict(orjson.loads(body))
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        detail = f"its replica answered {response.status_code}"
        problem = Problem("answer_broken_off", name="", detail=detail)
    raise problem
