"""The base of every schema: unknown fields are refused, names have one shape."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Schema(BaseModel):
    """A document. A field it doesn't know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


Name = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$")
]
"""Letters, digits, dot, underscore, hyphen; starts with a letter or digit. Unique within a project."""

Microseconds = Annotated[int, Field(description="UTC, integer microseconds since 1970.")]
