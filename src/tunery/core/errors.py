"""An error that a user can cause, as it is raised, stored and shown.

A `Problem` stores a code and parameters; the sentence is made late, so it can be shown in another
language. `where` places it: a file and line, a field, a setting. The codes are listed in `error_kinds`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tunery.core.error_kinds import KINDS, Kind


@dataclass(frozen=True)
class Where:
    """The place a problem is at; whatever is known of it."""

    file: str | None = None
    line: int | None = None
    offset: int | None = None
    field: str | None = None
    setting: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if value is not None}


@dataclass
class Problem(Exception):
    """An error a user can cause or must know of. `Problem("file_missing", path=…, base=…)`."""

    code: str
    where: Where = field(default_factory=Where)
    params: dict[str, Any] = field(default_factory=dict)
    errors: "tuple[Problem, ...]" = field(default=(), repr=False, compare=False)
    """Everything that is wrong, this first, where it is more than one thing."""

    def __init__(self, code: str, /, *, where: Where | None = None, **params: Any) -> None:
        assert code in KINDS, f"{code} is not in the list of errors"
        super().__init__(code)
        self.code = code
        self.where = where or Where()
        self.params = params
        self.errors = ()

    @classmethod
    def together(cls, found: "Sequence[Problem]") -> "Problem":
        """Several as one: it says what the first says, and holds them all."""
        first, *others = found
        if others:
            first.errors = tuple(found)
        return first

    @property
    def kind(self) -> Kind:
        return KINDS[self.code]

    @property
    def status(self) -> int:
        return self.kind.status

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return self.kind.says.format(**self.params)

    @property
    def cure(self) -> str:
        """What to do about it."""
        return self.kind.cure.format(**self.params)

    @property
    def cli_cure(self) -> str:
        """What to do about it for someone at the command line."""
        return (self.kind.cli or self.kind.cure).format(**self.params)

    @property
    def parts(self) -> "tuple[Problem, ...]":
        """Each thing that is wrong, one by one."""
        return self.errors or (self,)

    def __str__(self) -> str:
        return "\n".join(f"{part.message} {part.cure}" for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """The one shape every surface shows: code, message, cure, params, where; `errors` where they are several."""
        several = {"errors": [part._facts() for part in self.errors]} if self.errors else {}
        return {**self._facts(), **several}

    def _facts(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "cure": self.cure,
            "params": self.params,
            "where": self.where.as_dict(),
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Problem":
        """Rebuild one from what `as_dict` gave, e.g. out of a result file or an API answer.

        A code this version doesn't know (a newer server's) becomes `engine_failed` with the text it came with.
        """
        if several := stored.get("errors"):
            return cls.together([cls.from_dict({**one, "errors": None}) for one in several])
        code = str(stored.get("code"))
        where = Where(**{k: v for k, v in (stored.get("where") or {}).items() if k in Where.__annotations__})
        if code not in KINDS:
            return cls("engine_failed", where=where, detail=f"{stored.get('message', code)}")
        return cls(code, where=where, **(stored.get("params") or {}))
