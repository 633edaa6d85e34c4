"""A clone: a run made from an earlier one with changes, and what they are."""

from typing import Any

from tunery.schemas.base import Schema
from tunery.schemas.settings import Origin


class Change(Schema):
    """One value that a clone doesn't share with the run it was made from."""

    name: str
    """Where it stands in the spec, as in `settings.learning_rate`; or base_model_hash, code_version."""
    before: Any
    """In the earlier run; null = nothing."""
    after: Any
    """In the clone."""
    origin: Origin | None = None
    """Where a setting's new value comes from."""

    @property
    def label(self) -> str:
        """The name of a setting alone, as people speak of it."""
        return self.name.removeprefix("settings.")


class Clone(Schema):
    """What a clone was made from, and everything that differs."""

    run: str
    """Id of the earlier run."""
    name: str
    """`name #2`."""
    changes: list[Change]
