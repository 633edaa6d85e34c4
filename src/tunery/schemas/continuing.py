"""Going on from an earlier run's model: how that is asked for, and what it is found to be."""

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from tunery.schemas.base import Microseconds, Schema

DEFAULT_REPLAY = 0.1
"""Of the earlier run's training rows."""
_AT_STEP = re.compile(r"(?P<run>.+[^\s@])\s*@\s*(?P<step>[0-9]{1,9})")


class ContinueSpec(Schema):
    """An earlier run whose model the training goes on from. `name #2@1200` is short for its run and step."""

    run: str = Field(min_length=1, max_length=256)
    """An id, `name #2`, a name (its newest run that left a model), or a published model as `name:version`."""
    step: int | None = Field(None, ge=0, le=2**31 - 1)
    """The checkpoint; none = the final model, or the newest checkpoint of a run that has none yet."""
    replay: float | None = Field(None, ge=0, le=1)
    """Share of the rows that run learnt from, mixed in again; none = 0.1 where the method can learn from them."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _AT_STEP.fullmatch(value)
        return {"run": found["run"], "step": int(found["step"])} if found else {"run": value}


class Continued(Schema):
    """The earlier model that a run began with."""

    run: str
    """Id of the earlier run."""
    name: str
    """`name #2`."""
    step: int
    kind: Literal["adapter", "full"]
    model: str | None = None
    """`name:version`, where that state was published."""
    method: str
    created: Microseconds
    """When these weights were saved."""
    datasets: list[str]
    """`name@version` of everything the earlier model had learnt from."""
    recipe_hash: str
    """Of the earlier run."""
    before: list[str] = []
    """The states that the earlier model was itself trained on from, the first of them first."""
    replayed: list[str] = []
    """`name@version` of what is mixed in again."""

    @property
    def label(self) -> str:
        """Name, version and step."""
        return f"{self.name} @ step {self.step:,}"
