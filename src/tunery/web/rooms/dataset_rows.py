"""The views of one dataset that show rows: searched and filtered, and as a model in training sees them."""

from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from tunery.core.errors import Problem
from tunery.data.rows import Role
from tunery.data.search import Query
from tunery.schemas.dataset import DatasetVersion
from tunery.schemas.statistics import ChangeKind
from tunery.services import base_models, rows, statistics
from tunery.services.context import Context
from tunery.web.page import room

router = room()
PAGE = 10
_SEEN = 3
_MOST = 2**31
_KEPT = (
    "text",
    "role",
    "having",
    "language",
    "min_tokens",
    "max_tokens",
    "base",
    "method",
    "length",
    "old",
    "kind",
)


@dataclass(frozen=True)
class Asked:
    """What the address asks of a view; what makes no sense there is passed over."""

    text: str
    role: Role | None
    having: str | None
    language: str | None
    min_tokens: int | None
    max_tokens: int | None
    base: str | None
    """A base model."""
    method: str | None
    length: int | None
    old: int | None
    """The version that another is compared with."""
    kind: ChangeKind
    offset: int

    @classmethod
    def of(cls, given: QueryParams) -> "Asked":
        return cls(
            text=given.get("text", "").strip()[:1000],
            role=_one_of(given.get("role"), get_args(Role)),
            having=_one_of(given.get("having"), ("duplicates", "empty", "short_answers", "refused")),
            language=given.get("language") or None,
            min_tokens=_number(given.get("min_tokens")),
            max_tokens=_number(given.get("max_tokens")),
            base=given.get("base") or None,
            method=given.get("method") or None,
            length=_number(given.get("length")),
            old=_number(given.get("old")),
            kind=_one_of(given.get("kind"), get_args(ChangeKind)) or "changed",
            offset=_number(given.get("offset")) or 0,
        )

    def again(self, **changes: Any) -> str:
        """The same as part of an address, with changes; an offset always starts anew."""
        values = {name: getattr(self, name) for name in _KEPT} | changes
        return urlencode({name: value for name, value in values.items() if value not in (None, "")})

    @property
    def query(self) -> Query:
        return Query(
            text=self.text,
            role=self.role,
            having=self.having,
            language=self.language,
            min_tokens=self.min_tokens,
            max_tokens=self.max_tokens,
        )


def rows_values(ctx: Context, dataset: str, version: DatasetVersion, asked: Asked) -> dict[str, Any]:
    """What the view of rows shows."""
    values: dict[str, Any] = {"rows": None, "refused": None, "known": None}
    try:
        known = statistics.get(ctx, dataset, version.version, asked.base)
        values["known"] = None if known is None else known.found
        values["rows"] = rows.find(
            ctx, dataset, version.version, asked.query, base_model=asked.base, offset=asked.offset, limit=PAGE
        )
    except Problem as problem:
        values["refused"] = problem
    return values


def seen_values(ctx: Context, dataset: str, version: DatasetVersion, asked: Asked) -> dict[str, Any]:
    """What the view of a model's side shows."""
    assert version.row_kind is not None
    here = models_here(ctx)
    base = asked.base or (here[0] if here else None)
    values: dict[str, Any] = {
        "size": _SEEN,
        "models": here,
        "base": base,
        "methods": rows.methods_for(version.row_kind),
        "seen": None,
        "refused": None,
    }
    if base is None:
        return values
    try:
        values["seen"] = rows.seen(
            ctx,
            dataset,
            version.version,
            base_model=base,
            method=asked.method,
            max_sequence_length=max(asked.length, 2) if asked.length else None,
            offset=asked.offset,
            limit=_SEEN,
        )
    except Problem as problem:
        values["refused"] = problem
    return values


def models_here(ctx: Context) -> list[str]:
    """Base models whose tokenizers are on this machine."""
    return [entry.name for entry in base_models.list_base_models(ctx) if entry.available]


def _number(given: str | None) -> int | None:
    if not given or not given.isdecimal():
        return None
    return min(int(given), _MOST)


def _one_of(given: str | None, known: tuple[Any, ...]) -> Any:
    return given if given in known else None
