"""What a schema says about a wrong value, in words for people. It knows neither the value nor its place."""

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

_SAYS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a finite number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "string_type": "it must be text",
    "list_type": "it must be a list",
    "dict_type": "it must be an object with named fields",
    "model_type": "it must be an object with named fields",
    "model_attributes_type": "it must be an object with named fields",
    "greater_than_equal": "it must be at least {ge}",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be at most {le}",
    "less_than": "it must be less than {lt}",
    "literal_error": "it must be {expected}",
    "string_too_long": "it can have at most {max_length} characters",
    "string_too_short": "it must have at least {min_length} character",
    "too_short": "it must have at least {min_length} items",
    "value_error": "{error}",
}
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def said(error: Mapping[str, Any]) -> str:
    """One error of pydantic's as the end of a sentence."""
    text = _SAYS.get(error["type"])
    return str(error["msg"]) if text is None else text.format(**error.get("ctx", {}))


def takes(info: FieldInfo) -> str:
    """What a field takes: `a whole number of at least 1`."""
    bounds = [
        f"{word} {getattr(rule, name):g}"
        for rule in info.metadata
        for name, word in _BOUNDS.items()
        if hasattr(rule, name)
    ]
    return _kind(info.annotation) + (f" of {' and '.join(bounds)}" if bounds else "")


def shown(value: object) -> str:
    """A value as people write it: 0.00001, not 1e-05; true, not True; none, not None."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and isfinite(value):
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value))
    return str(value)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(str(one) for one in get_args(annotation))
    if get_origin(annotation) is list:
        return "a list of names" if get_args(annotation) == (str,) else "a list"
    if annotation in _KINDS:
        return _KINDS[annotation]
    if annotation is type(None):
        return "nothing"
    inside = get_args(annotation)
    return " or ".join(dict.fromkeys(_kind(one) for one in inside)) if inside else "another kind of value"
