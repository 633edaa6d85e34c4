"""A model's tokenizer as its folder describes it: encoding in parts, its special tokens, its end tokens.

It knows nothing of chats. Reads tokenizer.json, tokenizer_config.json, special_tokens_map.json and
generation_config.json; needs neither torch nor transformers.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from tokenizers import Tokenizer

from tunery.core.errors import Problem

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
)
_NEVER = re.compile("(?!)")


def read_tokenizer_files(folder: Path) -> dict[str, bytes]:
    """The files of a model's folder that a renderer needs, as far as they are there."""
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


class Vocabulary:
    """Text -> ids and back."""

    def __init__(self, files: Mapping[str, bytes], name: str) -> None:
        if "tokenizer.json" not in files:
            raise Problem("model_folder_incomplete", path=name, detail="tokenizer.json is missing")
        try:
            self._tokenizer = Tokenizer.from_buffer(files["tokenizer.json"])
        except Exception as error:  # the library raises bare Exception
            raise Problem(
                "model_folder_incomplete", path=name, detail=f"tokenizer.json can't be read ({error})"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.config = _read_object(files, "tokenizer_config.json", name)
        self.named = {
            **_named_tokens(_read_object(files, "special_tokens_map.json", name)),
            **_named_tokens(self.config),
        }
        """Special tokens by what they are for: bos_token, eos_token …"""
        self.added = {token.content: token for token in self._tokenizer.get_added_tokens_decoder().values()}
        self.bos_id = self._bos()
        self.end_ids = self._ends(_read_object(files, "generation_config.json", name))
        """Tokens at which an answer ends, the tokenizer's own end token first."""
        self._added_at_end = _any_of(self.added, "$")
        self._minds_start = self._ids("a") != self._tail("\n", "a")

    @property
    def eos_id(self) -> int | None:
        """The token that ends a text; None where the tokenizer names none."""
        return self.id_of(self.named["eos_token"]) if "eos_token" in self.named else None

    def id_of(self, token: str) -> int | None:
        return self._tokenizer.token_to_id(token)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=skip_special)

    def encode(self, text: str, before: str = "") -> list[int]:
        """The ids of `text`, which follows `before` but is not to merge with it.

        Some tokenizers put a space before what they take for the start of a text. For them a part from the
        middle is encoded behind something that can't merge with it, whose ids are taken off again.
        """
        added = self._added_at_end.search(before) if before else None
        if added and self.added[added[0]].rstrip:
            # Such a token swallows the white space behind it, here as where both are encoded together.
            text = text.lstrip()
        if not text:
            return []
        if not before or not self._minds_start:
            return self._ids(text)
        tail = self._tail(added[0] if added else "\n", text)
        return self._ids(text) if tail is None else tail

    def parts(self, text: str, cut: str, before: str = "") -> list[int]:
        """The ids of a text that follows `before` and is taken apart at every `cut`."""
        ids: list[int] = []
        for part in text.split(cut):
            ids += self.encode(part, before)
            before = part or before
        return ids

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _tail(self, anchor: str, text: str) -> list[int] | None:
        alone, both = self._ids(anchor), self._ids(anchor + text)
        return both[len(alone) :] if both[: len(alone)] == alone else None

    def _bos(self) -> int | None:
        """The token the tokenizer puts before a text by itself."""
        plain = self._ids("a")
        full = self._tokenizer.encode("a", add_special_tokens=True).ids
        if len(full) > len(plain) and full[1 : 1 + len(plain)] == plain:
            return full[0]
        if self.config.get("add_bos_token") is True and "bos_token" in self.named:
            return self.id_of(self.named["bos_token"])
        return None

    def _ends(self, generation: Mapping[str, Any]) -> tuple[int, ...]:
        listed = generation.get("eos_token_id")
        ids = [self.eos_id, *(listed if isinstance(listed, list) else [listed])]
        return tuple(dict.fromkeys(number for number in ids if isinstance(number, int)))


class Speller:
    """Puts `mark` into every token of `tokens` that a text spells out, so that it stays text.

    A token of one character can't be cut; none that ends or begins a turn is so short.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._pattern = _any_of([token for token in tokens if len(token) > 1 and not token.isspace()], "")

    def __call__(self, text: str, mark: str) -> str:
        # Again until none is left: a cut through one token may leave another that overlapped it.
        while self._pattern.search(text):
            text = self._pattern.sub(lambda found: found[0][0] + mark + found[0][1:], text)
        return text


def _any_of(tokens: Sequence[str] | Mapping[str, Any], after: str) -> re.Pattern[str]:
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(map(re.escape, longest_first))}){after}") if longest_first else _NEVER


def _named_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    named: dict[str, str] = {}
    for key, value in config.items():
        content = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(content, str):
            named[key] = content
    return named


def _read_object(files: Mapping[str, bytes], file: str, name: str) -> dict[str, Any]:
    if file not in files:
        return {}
    try:
        value = orjson.loads(files[file])
    except orjson.JSONDecodeError as error:
        raise Problem("model_folder_incomplete", path=name, detail=f"{file} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise Problem("model_folder_incomplete", path=name, detail=f"{file} is not a JSON object")
    return value
