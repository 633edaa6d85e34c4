"""A connection: a place outside this server that datasets are made from, its test, and an import from it."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from tunery.schemas.base import Microseconds, Name, Schema
from tunery.schemas.dataset import ImportOptions
from tunery.schemas.project import ProblemDocument


def _one_word(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it contains a space, a line break or a character that no key has")
    return secret


Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096), AfterValidator(_one_word)]
"""A key or token: sealed when it is stored, never given out."""


class ConnectionRequest(Schema):
    """Make a connection."""

    name: Name
    kind: str = "s3"
    settings: dict[str, Any]
    """What the kind needs; its schema is under /api/v1/connection-kinds."""


class ConnectionTest(Schema):
    """The result of testing a connection."""

    ok: bool
    found: str | None
    """What was seen there."""
    problem: ProblemDocument | None
    """What is wrong, and what to do about it."""
    at: Microseconds
    seconds: float


class Connection(Schema):
    """A place outside this server, without the secrets that open it."""

    id: str
    name: str
    kind: str
    settings: dict[str, Any]
    """Those that are no secret."""
    secrets: list[str]
    """Names of the settings that are stored encrypted."""
    test: ConnectionTest | None
    """The newest one."""
    created: Microseconds


class ConnectionImport(ImportOptions):
    """Make a dataset, or the next version of one, from files of a connection."""

    name: Name
    """The dataset's name; an existing dataset gets a new version."""
    path: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1024)] = ""
    """A folder (its subfolder jsonl is used if it has one) or a single file; empty = everything."""
