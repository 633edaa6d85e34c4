"""A RunSpec from what people have at hand: the object, a dict, or a YAML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tunery.core.errors import Problem, Where
from tunery.schemas.run import RunSpec
from tunery.schemas.words import said

SpecLike = RunSpec | Mapping[str, Any] | str | Path
"""A RunSpec, its fields, or the path of a YAML file with them."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The fields of a YAML file. Raises Problem `file_missing`, `file_unreadable` or `spec_invalid`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Problem("file_missing", path=str(path), base=str(Path.cwd())) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("file_unreadable", path=str(path), detail=str(error)) from error
    return parse_yaml(text, file=str(path))


def parse_yaml(text: str, *, file: str) -> dict[str, Any]:
    """The fields of a YAML text; `file` is what it is called. Raises Problem `spec_invalid`."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        said = getattr(error, "problem", None) or "it isn't YAML"
        detail = f"{file} isn't YAML{f' at line {line}' if line else ''}: {said}."
        raise Problem("spec_invalid", where=Where(file=file, line=line), detail=detail) from error
    if not isinstance(value, dict):
        detail = f"{file} holds no fields of a run (name: value)."
        raise Problem("spec_invalid", where=Where(file=file), detail=detail)
    return value


def to_yaml(spec: RunSpec) -> str:
    """The fields that were given, as YAML; reading it makes an equal spec."""
    fields = spec.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def to_spec(given: SpecLike) -> RunSpec:
    """The RunSpec meant. Raises Problem `spec_invalid`, which names every wrong field."""
    if isinstance(given, RunSpec):
        return given
    if isinstance(given, (str, Path)):
        return parse_spec(read_yaml(Path(given)), file=str(given))
    return parse_spec(given)


def parse_spec(fields: Mapping[str, Any], *, file: str | None = None) -> RunSpec:
    """A RunSpec out of plain fields. Raises Problem `spec_invalid`, which names every wrong field."""
    try:
        return RunSpec.model_validate(dict(fields))
    except ValidationError as error:
        raise Problem.together([_wrong(one, file) for one in error.errors(include_url=False)]) from error


def changed(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with changes, as a JSON merge patch (RFC 7396): what is inside a field is changed by its name, and
    None takes a field away."""
    made = dict(fields)
    for name, value in changes.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            inside = made.get(name)
            made[name] = changed(inside if isinstance(inside, Mapping) else {}, value)
        else:
            made[name] = value
    return made


def _wrong(error: Mapping[str, Any], file: str | None) -> Problem:
    name = ".".join(str(part) for part in error["loc"]) or "the specification"
    told = {"missing": " is missing", "extra_forbidden": " is not a field of a run"}.get(error["type"])
    detail = f"{name}{told or f': {said(error)}'}."
    return Problem(
        "spec_invalid", where=Where(file=file, field=name), detail=f"{file}: {detail}" if file else detail
    )
