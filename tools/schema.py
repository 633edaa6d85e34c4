"""JSON schema in words: the type of a field, its bounds, the fields of a document."""

from collections.abc import Iterator
from typing import Any

from tools.markdown import as_json, cell, code, table

_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "pattern": "`{}`",
}


def type_of(about: dict[str, Any]) -> str:
    """A field's type, as people write it."""
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    if "const" in about:
        return as_json(about["const"])
    if "enum" in about:
        return " or ".join(as_json(value) for value in about["enum"])
    if "anyOf" in about or "oneOf" in about:
        return " or ".join(type_of(one) for one in about.get("anyOf") or about["oneOf"])
    if about.get("type") == "array":
        return f"list of {type_of(about['items'])}" if "items" in about else "list"
    if about.get("type") == "object" and isinstance(about.get("additionalProperties"), dict):
        return f"map of {type_of(about['additionalProperties'])}"
    return str(about.get("type", "anything"))


def bounds(about: dict[str, Any]) -> str:
    """What makes sense at all for a field."""
    here = [says.format(about[name]) for name, says in _BOUNDS.items() if name in about]
    inside = [bounds(one) for one in about.get("anyOf", [])]
    return ", ".join(dict.fromkeys([*here, *(text for text in inside if text)]))


def default_of(name: str, schema: dict[str, Any]) -> str:
    """A field's default in JSON; says so where there is none."""
    if name in schema.get("required", []):
        return "required"
    about = schema["properties"][name]
    return as_json(about["default"]) if "default" in about else ""


def fields(schema: dict[str, Any]) -> str:
    """The fields of one object schema as a table."""
    rows = [
        (code(name), type_of(about), default_of(name, schema), bounds(about), about.get("description"))
        for name, about in schema.get("properties", {}).items()
    ]
    return table(["field", "type", "default", "allowed", "meaning"], rows)


def documents(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema and those inside it, by name, outermost first."""
    yield str(schema["title"]), schema
    for name, inner in schema.get("$defs", {}).items():
        if "properties" in inner:
            yield name, inner


def about(schema: dict[str, Any]) -> str:
    """What a schema's docstring says."""
    return cell(schema.get("description", ""))
