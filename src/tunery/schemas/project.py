"""Project, page, problem and the small shared answers."""

from typing import Any, Generic, TypeVar

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


class ProblemDocument(Schema):
    """How every error looks under /api/v1."""

    code: str
    message: str
    cure: str
    params: dict[str, Any] = {}
    where: dict[str, Any] = {}


class ExtensionInfo(Schema):
    """An extension as forms, CLI and docs show it."""

    name: str
    title: str
    help: str
    json_schema: dict[str, Any] | None = None
    """Settings of a method, as JSON schema."""
    takes: list[str] = []
    """Row kinds or formats it takes."""
    recommended: dict[str, dict[str, Any]] = {}
    """Recommended settings by finetuning type."""
