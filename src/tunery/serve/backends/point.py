"""The extension point of serving backends: a program that loads a base model and answers on a unix socket."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

import httpx

from tunery.core.extensions import Point
from tunery.core.settings import ServerSettings
from tunery.schemas.serving import AnswerLine, GenerateRequest
from tunery.serve.router import Target


class Backend(Protocol):
    """What a module in this folder offers. It starts nothing itself and holds no state."""

    API_VERSION: int
    TITLE: str
    HELP: str
    READY_PATH: str
    """Answers 200 to GET as soon as the base model can answer."""

    def command(self, base: Path, socket: Path, settings: ServerSettings) -> list[str]:
        """The command line that starts it; it ends with the process that starts it."""
        ...

    def why_ended(self, log: str) -> str:
        """The reason in the end of its log, in a few words."""
        ...

    def answer(
        self, client: httpx.AsyncClient, target: Target, request: GenerateRequest
    ) -> AsyncGenerator[AnswerLine, None]:
        """Ask, loading the target's adapter first where that is still to be done.

        Raises Problem before the first line, httpx.TransportError when the program is gone.
        """
        ...


BACKENDS: Point[Backend] = Point("tunery.serve.backends", "serving backend", api_version=1)
