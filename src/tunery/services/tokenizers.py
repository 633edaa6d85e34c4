"""Tokenizers and chat templates of the base models on this machine, ready to be used, without torch."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import orjson

from tunery.core.errors import Problem
from tunery.data.render import ChatRenderer
from tunery.data.vocabulary import read_tokenizer_files
from tunery.models.folder import ModelFolder, can_chat, load_family
from tunery.models.rendering import renderer_of
from tunery.services import base_models
from tunery.services.context import Context

_HELD = 3
_renderers: OrderedDict[str, ChatRenderer] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class ModelTokenizer:
    """What turns rows into a base model's tokens."""

    name: str
    folder: ModelFolder
    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        """Changes when any file does that tokens depend on."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        family = load_family(self.folder)
        start = self.folder.decoder_start if family.TEXT_TO_TEXT else None
        told = orjson.dumps([hashes, family.CHAT_TEMPLATE, start], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(told).hexdigest()

    def renderer(self) -> ChatRenderer:
        """The renderer; the last few that were used are at hand. It is made with one time: now."""
        key = self.digest
        with _lock:
            found = _renderers.pop(key, None)
        if found is None:
            found = renderer_of(self.folder, files=self.files, name=self.name)
        with _lock:
            _renderers[key] = found
            while len(_renderers) > _HELD:
                _renderers.popitem(last=False)
        return found


def tokenizer_of(ctx: Context, base_model: str) -> ModelTokenizer:
    """Of a base model on this machine. Raises Problem `unknown_base_model`, `model_weights_absent` …"""
    folder = base_models.look_into(ctx, base_model)
    return ModelTokenizer(
        name=base_model,
        folder=folder,
        files=read_tokenizer_files(folder.path),
    )


def need_template(tokenizer: ModelTokenizer) -> None:
    """Raise Problem `no_chat_template` for a model that can't read conversations."""
    if not can_chat(tokenizer.folder, load_family(tokenizer.folder)):
        raise Problem("no_chat_template", name=tokenizer.name)
