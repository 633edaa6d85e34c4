"""A replica's life: load the base as the engine does when it evaluates, then answer until told to end."""

import logging
import time
from pathlib import Path

import torch
import uvicorn

from tunery.engine.policy import answer_dtype
from tunery.engine.weights import load_model
from tunery.models.folder import ModelFolder, load_family
from tunery.models.rendering import renderer_of
from tunery.replica.adapters import Adapters
from tunery.replica.app import create_app
from tunery.replica.decoder import Decoder
from tunery.replica.model import ServedModel
from tunery.replica.prompts import Prompts

_log = logging.getLogger(__name__)

_CONTEXT_UNKNOWN = 2048
"""Positions of a model that names no limit."""
_GRACE_SECONDS = 3
"""How long answers may go on after SIGTERM."""


def run(folder: ModelFolder, socket: Path, threads: int, dtype_name: str) -> None:
    """Serve until SIGTERM. Raises Problem when the model doesn't load."""
    begun = time.monotonic()
    torch.set_num_threads(threads)
    family = load_family(folder)
    dtype = answer_dtype(folder.parameters) if dtype_name == "auto" else getattr(torch, dtype_name)
    prompts = Prompts(renderer_of(folder), folder.limit or _CONTEXT_UNKNOWN, apart=family.TEXT_TO_TEXT)
    model = ServedModel(load_model(folder.path, dtype, family, generate=True), dtype)
    decoder = Decoder(model, prompts.token_text)
    app = create_app(prompts, decoder, Adapters(model, decoder))
    _log.info(
        "%s: %d parameters in %s on %d threads, ready after %.1f s",
        folder.path, folder.parameters, dtype, threads, time.monotonic() - begun,
    )  # fmt: skip
    config = uvicorn.Config(
        app,
        uds=str(socket),
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run()
