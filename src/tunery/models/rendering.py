"""Which renderer fits a model: the one way from rows and messages to its tokens. Without torch."""

from collections.abc import Mapping
from datetime import datetime

from tunery.core.errors import Problem
from tunery.data.pairs import PairRenderer
from tunery.data.render import ChatRenderer
from tunery.models.folder import ModelFolder, load_family


def renderer_of(
    base: ModelFolder,
    *,
    files: Mapping[str, bytes] | None = None,
    name: str | None = None,
    now: datetime | None = None,
) -> ChatRenderer:
    """`files`: its tokenizer's, where they were read already; `now`: what templates are told of the date.

    Raises Problem `model_folder_incomplete`, `chat_template_failed`, `no_chat_template`.
    """
    family = load_family(base)
    source = base.path if files is None else files
    if not family.TEXT_TO_TEXT:
        return ChatRenderer(source, family_template=family.CHAT_TEMPLATE, name=name, now=now)
    start = base.decoder_start
    if start is None:
        detail = "config.json names no decoder_start_token_id"
        raise Problem("model_folder_incomplete", path=str(base.path), detail=detail)
    return PairRenderer(source, start=start, family_template=family.CHAT_TEMPLATE, name=name, now=now)
