"""Writes the files of the datasets that ship, which are made from a seed when somebody asks for one."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tunery.starter import general, sample
from tunery.starter.place import HELD_OUT_ROWS, TRAIN_ROWS

CATALOGUE = Path(__file__).with_name("presets.yaml")
_SEED = 0


def _general() -> Iterable[dict[str, Any]]:
    for asked, answered in general.exchanges():
        turns = (("user", asked), ("assistant", answered))
        yield {"messages": [{"role": role, "content": text} for role, text in turns]}


_ROWS: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
    "sample": lambda: sample.rows(_SEED, TRAIN_ROWS, HELD_OUT_ROWS)[0],
    "sample-held-out": lambda: sample.rows(_SEED, TRAIN_ROWS, HELD_OUT_ROWS)[1],
    "general": _general,
}
GENERATORS = frozenset(_ROWS)


def write(made_by: str, path: Path) -> None:
    """One JSON object a line; always the same ones."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in _ROWS[made_by]())
