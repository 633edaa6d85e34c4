"""Rows and specs for these tests."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tunery.data.arrow import read_arrow
from tunery.data.rows import Row


def question(asked: str, answered: str, system: str = "") -> dict[str, Any]:
    turns = [{"role": "system", "content": system}] if system else []
    turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return {"messages": turns}


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def spec(train: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """A spec for the server; its datasets are named as the files are."""
    return {"base_model": "tunery-starter", "data": {"train": train, **fields.pop("data", {})}, **fields}


def as_local(given: dict[str, Any], path: Path) -> Path:
    """The same spec as a YAML file that names files."""

    def local(ref: dict[str, Any]) -> dict[str, Any]:
        return {"path": f"{ref['dataset']}.jsonl", **{k: v for k, v in ref.items() if k != "dataset"}}

    data = {**given["data"], "train": [local(ref) for ref in given["data"]["train"]]}
    if "validation" in data:
        data["validation"] = local(data["validation"])
    fields = {**given, "data": data}
    if "evaluate" in fields:
        fields["evaluate"] = {**fields["evaluate"], "dataset": local(fields["evaluate"]["dataset"])}
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path


def rows_in(path: Path) -> list[Row]:
    return list(read_arrow(path))
