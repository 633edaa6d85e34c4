"""A RunSpec from what people have at hand: the object, a dict, or a YAML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tunery.core.errors import Problem, Where
from tunery.schemas.run import RunSpec

SpecLike = RunSpec | Mapping[str, Any] | str | Path
"""A RunSpec, its fields, or the path of a YAML file with them."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The fields of a YAML file. Raises Problem `file_missing`, `file_unreadable` or `spec_invalid`."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Problem("file_missing", path=str(path), base=str(Path.cwd())) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("file_unreadable", path=str(path), detail=str(error)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        said = getattr(error, "problem", None) or "it isn't YAML"
        detail = f"{path} isn't YAML{f' at line {line}' if line else ''}: {said}."
        raise Problem("spec_invalid", where=Where(file=str(path), line=line), detail=detail) from error
    if not isinstance(value, dict):
        raise Problem(
            "spec_invalid",
            where=Where(file=str(path)),
            detail=f"{path} holds no fields of a run (name: value).",
        )
    return value


def to_spec(given: SpecLike) -> RunSpec:
    """The RunSpec meant. Raises Problem `spec_invalid` naming the first wrong field."""
    if isinstance(given, RunSpec):
        return given
    if isinstance(given, (str, Path)):
        return parse_spec(read_yaml(Path(given)), file=str(given))
    return parse_spec(given)


def parse_spec(fields: Mapping[str, Any], *, file: str | None = None) -> RunSpec:
    """A RunSpec out of plain fields. Raises Problem `spec_invalid` naming the first wrong field."""
    try:
        return RunSpec.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "the specification"
        said = {"missing": "is missing", "extra_forbidden": "is not a field of a run"}.get(first["type"])
        detail = f"{name} {said}." if said else f"{name}: {first['msg']}."
        raise Problem(
            "spec_invalid", where=Where(file=file, field=name), detail=f"{file}: {detail}" if file else detail
        ) from error
