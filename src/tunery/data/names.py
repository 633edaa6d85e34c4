"""The names a file uses, put into those of its format: columns of a row, keys and roles of its turns.

It changes no text. It doesn't know which names a format has.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunery.core.errors import Problem, Where
from tunery.data.rows import RowError

if TYPE_CHECKING:
    from tunery.schemas.file_options import FileOptions, TurnName

_TALKS = ("conversations", "messages", "prompt", "chosen", "rejected")
"""Fields that hold a turn, or a list of them."""
_ROLES: "dict[TurnName, str]" = {
    "user": "human", "assistant": "gpt", "system": "system", "tool": "observation", "call": "function_call",
}  # fmt: skip
SHOWN = 30


class FileNames:
    """Renames rows as a user said. Falsy when there is nothing to rename."""

    def __init__(
        self, columns: Mapping[str, str], turns: "Mapping[TurnName, str]", *, only_named: bool = False
    ) -> None:
        self._columns = dict(columns)
        self._only_named = only_named
        self._turns = bool(turns)
        self._role = turns.get("role", "from")
        self._content = turns.get("content", "value")
        self._roles = {spelled: _ROLES[part] for part, spelled in turns.items() if part in _ROLES}

    @classmethod
    def of(cls, options: "FileOptions") -> "FileNames":
        return cls(options.columns, options.turns, only_named=options.only_named)

    def __bool__(self) -> bool:
        return bool(self._columns) or self._turns

    def check(self, sample: Sequence[object], path: str) -> None:
        """Raises Problem `column_unknown` for a column that none of some rows has."""
        known = columns_of(sample)
        for field, column in self._columns.items():
            if known and column not in known:
                shown = ", ".join(known[:SHOWN])
                where = Where(file=path, field=field)
                raise Problem(
                    "column_unknown", where=where, path=path, column=column, field=field, known=shown
                )

    def rename(self, record: object) -> object:
        """A row with the format's names. A field that a column is read as hides the file's own of that name."""
        if not isinstance(record, dict):
            return record
        taken = {field: column for field, column in self._columns.items() if column in record}
        gone = taken.keys() | set(taken.values())
        named: dict[str, Any] = {}
        if not self._only_named:
            named = {key: value for key, value in record.items() if key not in gone}
        named |= {field: record[column] for field, column in taken.items()}
        if self._turns:
            for field in _TALKS:
                if field in named:
                    named[field] = self._talk(named[field])
        return named

    def explain(self, error: RowError) -> RowError:
        """A refusal in the format's names, with the file's own beside it."""
        field = (error.field or "").partition("[")[0].partition(".")[0]
        column = self._columns.get(field)
        if column is None:
            return error
        fix = f"{error.fix} ({field} is read from the column `{column}`.)"
        return RowError(error.rule, fix, field=error.field, found=error.found)

    def _talk(self, value: object) -> object:
        if isinstance(value, list):
            return [self._turn(turn) for turn in value]
        return self._turn(value)

    def _turn(self, turn: object) -> object:
        if not isinstance(turn, dict):
            return turn
        named = {key: value for key, value in turn.items() if key not in (self._role, self._content)}
        if self._role in turn:
            spelled = turn[self._role]
            named["from"] = self._roles.get(spelled, spelled) if isinstance(spelled, str) else spelled
        if self._content in turn:
            named["value"] = turn[self._content]
        return named


def columns_of(sample: Sequence[object]) -> list[str]:
    """The names of the fields of some rows, in the order they come."""
    return list(dict.fromkeys(str(key) for row in sample if isinstance(row, dict) for key in row))
