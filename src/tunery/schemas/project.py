"""Project, page, problem and the small shared answers."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import StringConstraints

from tunery.schemas.base import Microseconds, Schema

T = TypeVar("T")


class Project(Schema):
    """A workspace; everything below belongs to one."""

    id: str
    name: str
    created: Microseconds


class Page(Schema, Generic[T]):
    """A part of a list, newest first. Ask for the next with `after` = the last item's id."""

    data: list[T]
    has_more: bool


class ProblemPart(Schema):
    """One thing that is wrong."""

    code: str
    message: str
    cure: str
    params: dict[str, Any] = {}
    where: dict[str, Any] = {}
    """The field, setting, file or line."""


class ProblemDocument(ProblemPart):
    """How every error looks under /api/v1."""

    errors: list[ProblemPart] = []
    """Each thing that is wrong; the first is the one above. A spec with three wrong settings has three."""


class ExtensionInfo(Schema):
    """An extension as forms, CLI and docs show it."""

    name: str
    title: str
    help: str
    json_schema: dict[str, Any] | None = None
    """Settings of a method, as JSON schema."""
    takes: list[str] = []
    """Row kinds or formats it takes."""
    needs: list[str] = []
    """What a method asks of the engine, or a metric of a row: reference, score, preference …"""
    higher_is_better: bool | None = None
    """Of a metric."""
    share: bool | None = None
    """Of a metric: whether its mean is a share of the rows, shown in per cent."""
    recommended: dict[str, dict[str, Any]] = {}
    """Recommended settings by finetuning type."""


class Health(Schema):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str


class Token(Schema):
    """A token without its secret."""

    id: str
    name: str
    hint: str
    """Its first characters, to tell tokens apart."""
    created: Microseconds
    revoked: Microseconds | None


class TokenRequest(Schema):
    """Ask for a token."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]


class NewToken(Schema):
    """A token, this once with its secret."""

    id: str
    name: str
    token: str
