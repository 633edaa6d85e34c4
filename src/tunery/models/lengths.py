"""How many tokens rows have for a model: what previews estimate from and joined rows are held to. Without torch."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from tunery.data.questions import text_of
from tunery.data.rows import Conversation, Row
from tunery.models.folder import can_chat, inspect_folder, load_family
from tunery.models.rendering import renderer_of

_NO_LIMIT = 1 << 40


@lru_cache(maxsize=8)
def token_length(folder: Path) -> Callable[[Row], int]:
    """Counts the tokens of a row as the model of this folder sees it.

    Raises Problem of a folder that is no model; counting raises `chat_template_failed`.
    """
    base = inspect_folder(folder)
    family = load_family(base)
    renderer = renderer_of(base)

    def length(row: Row) -> int:
        if isinstance(row, Conversation) and can_chat(base, family):
            return len(renderer.conversation(row, _NO_LIMIT).tokens)
        return sum(len(example.tokens) for example in renderer.text(text_of(row), _NO_LIMIT))

    return length
