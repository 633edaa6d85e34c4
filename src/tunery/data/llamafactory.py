"""LLaMA-Factory's registry of datasets, `dataset_info.json`: which entry is which file, and how it is to be read.

An entry that names its columns has no others, there as here. What can't be imported is named with the reason.
"""

import posixpath
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import orjson

from tunery.core.errors import Problem, Where
from tunery.data.archive import REGISTRY
from tunery.schemas.dataset import Skipped
from tunery.schemas.file_options import FileOptions, TurnName

FILE = REGISTRY
_HUBS = {"hf_hub_url": "Hugging Face", "ms_hub_url": "ModelScope", "om_hub_url": "Modelers"}
_ALPACA = {"prompt": "instruction", "query": "input", "response": "output"}
_SHARED = {"system": "system", "tools": "tools"}
_DEFAULTS = {
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output"},
    "sharegpt": {"messages": "conversations"},
}
_TAGS: dict[str, TurnName] = {
    "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
    "system_tag": "system", "observation_tag": "tool", "function_tag": "call",
}  # fmt: skip
_ENDINGS = (".json", ".jsonl", ".csv", ".parquet", ".txt")


@dataclass(frozen=True)
class Entry:
    """An entry that can be imported."""

    name: str
    file: str
    """Where its file lies, from the registry's folder."""
    options: FileOptions
    note: str | None = None
    """What of the entry has no effect here."""

    @property
    def dataset(self) -> str:
        """A name a dataset may have."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name)
        return re.sub(r"^[^A-Za-z0-9]+", "", plain)[:128] or "dataset"


class Unusable(Exception):
    """Why an entry can't be imported."""


def read_registry(content: bytes, name: str) -> dict[str, Any]:
    """The entries as they stand in the file. Raises Problem `file_unreadable`."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        detail = f"it isn't JSON ({error})"
        raise Problem("file_unreadable", where=Where(file=name), path=name, detail=detail) from error
    if not isinstance(found, dict):
        raise Problem(
            "file_unreadable", where=Where(file=name), path=name, detail="it holds no named entries"
        )
    return found


def plan(
    registry: dict[str, Any], only: Collection[str], present: Callable[[str], str | None]
) -> tuple[list[Entry], list[Skipped]]:
    """The entries to import, and the others with the reason. `present(file)`: why a file can't be read, if so.

    Raises Problem `not_found` for a name that isn't an entry.
    """
    for name in only:
        if name not in registry:
            raise Problem(
                "not_found", noun=f"entry of {FILE}", name=name, list=", ".join(sorted(registry)[:20])
            )
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    for name in only or registry:
        try:
            entry = _entry(name, registry[name])
            if reason := present(entry.file):
                raise Unusable(reason)
            entries.append(entry)
        except Unusable as reason:
            skipped.append(Skipped(name=name, reason=str(reason)))
    return entries, skipped


def _entry(name: str, said: object) -> Entry:
    """Raises Unusable."""
    if not isinstance(said, dict):
        raise Unusable("it isn't an object")
    file = _file(said)
    formatting = said.get("formatting", "alpaca")
    if formatting not in ("alpaca", "sharegpt", "openai"):
        raise Unusable(f"its formatting “{formatting}” isn't known")
    columns = said.get("columns", _DEFAULTS["alpaca" if formatting == "alpaca" else "sharegpt"])
    tags = said.get("tags", {})
    if not _is_names(columns) or not _is_names(tags):
        raise Unusable("its columns or tags aren't names")
    columns = {part: column for part, column in columns.items() if column}
    for media in ("images", "videos", "audios"):
        if media in columns:
            raise Unusable(f"it refers to {media}; pack its rows with their images as a ZIP and import that")
    read = _alpaca if formatting == "alpaca" else _sharegpt
    format, names = read(columns, bool(said.get("ranking")))
    names |= {
        field: columns[part] for part, field in _SHARED.items() if part in columns and format != "corpus"
    }
    turns: dict[TurnName, str] = {}
    if formatting != "alpaca":
        turns = {_TAGS[tag]: spelled for tag, spelled in tags.items() if tag in _TAGS and spelled}
    options = FileOptions(format=format, columns=names, turns=turns, only_named=True)
    return Entry(name, file, options, _note(said))


def _file(said: dict[str, Any]) -> str:
    for key, hub in _HUBS.items():
        if key in said:
            raise Unusable(f"it is hosted on a hub ({hub}: {said[key]}); download it and import the file")
    if "script_url" in said:
        raise Unusable("it needs its own loading script, which Tunery doesn't run")
    if "cloud_file_name" in said:
        raise Unusable("it is in cloud storage; download it and import the file")
    file = said.get("file_name")
    if not isinstance(file, str) or not file:
        raise Unusable("it names no file")
    file = posixpath.normpath(file)
    if file.startswith(("/", "..")) or "\\" in file or "\0" in file:
        raise Unusable("its file is outside the folder")
    if not file.lower().endswith(_ENDINGS):
        raise Unusable(f"its file type is none of {', '.join(_ENDINGS)}")
    return file


def _alpaca(columns: dict[str, str], ranking: bool) -> tuple[str, dict[str, str]]:
    names = {field: columns[part] for part, field in _ALPACA.items() if part in columns}
    if "history" in columns:
        names["history"] = columns["history"]
    if "prompt" not in columns and "query" not in columns:
        raise Unusable("it names no column for the prompt")
    if ranking:
        names.pop("output", None)
        return "preference", names | _pair(columns)
    if "kto_tag" in columns:
        return "kto", names | {"label": columns["kto_tag"]}
    if "response" in columns:
        return "alpaca", names
    if set(columns) == {"prompt"}:
        return "corpus", {"text": columns["prompt"]}
    raise Unusable("it names no column for the response")


def _sharegpt(columns: dict[str, str], ranking: bool) -> tuple[str, dict[str, str]]:
    if "messages" not in columns:
        raise Unusable("it names no column for the messages")
    names = {"conversations": columns["messages"]}
    if ranking:
        return "preference", names | _pair(columns)
    if "kto_tag" in columns:
        return "kto", names | {"label": columns["kto_tag"]}
    return "sharegpt", names


def _pair(columns: dict[str, str]) -> dict[str, str]:
    if "chosen" not in columns or "rejected" not in columns:
        raise Unusable("it is for ranking, but names no columns for chosen and rejected")
    return {"chosen": columns["chosen"], "rejected": columns["rejected"]}


def _note(said: dict[str, Any]) -> str | None:
    if said.get("num_samples"):
        return f"all rows are imported; for {said['num_samples']} of them set max_train_samples in the run"
    return None


def _is_names(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) or one is None for one in value.values())
