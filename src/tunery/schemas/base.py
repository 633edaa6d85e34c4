"""The base of every schema: unknown fields are refused, names have one shape."""

import os
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# To look for plugins of pydantic is to read about every installed package: a quarter of the time until Tunery starts.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class Schema(BaseModel):
    """A document. A field it doesn't know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


_NAME = r"^[A-Za-z0-9][A-Za-z0-9._\-]*$"


def _plain(name: str) -> str:
    if not re.match(_NAME, name):
        raise ValueError("use letters, digits, dot, hyphen and underscore, and begin with a letter or digit")
    return name


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    AfterValidator(_plain),
    Field(json_schema_extra={"pattern": _NAME}),
]
"""Letters, digits, dot, underscore, hyphen; starts with a letter or digit. Unique within a project."""

Microseconds = Annotated[int, Field(description="UTC, integer microseconds since 1970.")]
