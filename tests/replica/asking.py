"""Puts questions to a decoder in this process and waits for the answers' tokens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tests.patience import PATIENCE
from tunery.engine.weights import load_model
from tunery.models.folder import inspect_folder, load_family
from tunery.replica.answer import Answer, Line
from tunery.replica.decoder import Decoder
from tunery.replica.model import ServedModel
from tunery.replica.sampling import Sampling
from tunery.schemas.serving import EndLine, ProblemLine


class Asked:
    """One question, answered greedily."""

    def __init__(
        self, prompt: list[int], limit: int, adapter: str | None = None, ends: frozenset[int] = frozenset()
    ):
        self.lines: list[Line] = []
        self._done = threading.Event()
        self.answer = Answer(
            prompt=prompt,
            adapter=adapter,
            limit=limit,
            sampling=Sampling(temperature=0),
            stops=[],
            ends=ends,
            decode=lambda token: f"{token} ",
            rest=lambda: "",
            emit=self._take,
        )

    def _take(self, line: Line) -> None:
        self.lines.append(line)
        if isinstance(line, EndLine | ProblemLine):
            self._done.set()

    def tokens(self) -> list[int]:
        """The whole answer, once it is there."""
        assert self._done.wait(PATIENCE)
        return self.answer.tokens


@contextmanager
def running_decoder(base: Path, **limits: int) -> Iterator[tuple[Decoder, ServedModel]]:
    """A decoder on a model's folder."""
    torch.set_num_threads(1)  # toys are too small to share out, least of all on a busy machine
    # float32: in bfloat16 the rounding of a row depends on how many rows there are.
    model = load_model(base, torch.float32, load_family(inspect_folder(base)), generate=True)
    served = ServedModel(model, torch.float32)
    decoder = Decoder(served, str, **limits)
    try:
        yield decoder, served
    finally:
        decoder.close()


def ask_all(decoder: Decoder, asked: list[Asked]) -> list[list[int]]:
    """All of them at once."""
    for each in asked:
        decoder.submit(each.answer)
    return [each.tokens() for each in asked]
