"""What a run goes on from, as resolution needs to know it: settings that stay, rows mixed in again, what to tell.

It knows neither database nor folders.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunery.core.errors import Problem, Where
from tunery.methods.point import METHODS
from tunery.schemas.continuing import Continued
from tunery.schemas.settings import extra_of
from tunery.schemas.words import shown
from tunery.services.recipe import NO_REPLAY, Replay

_FREE = frozenset({"lora_dropout"})
"""Settings of an adapter that don't say what shape it has."""


@dataclass(frozen=True)
class Begun:
    """An earlier model, or nothing: then a run begins with its base model."""

    continued: Continued | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the earlier run."""
    replay: Replay = NO_REPLAY
    left_out: str | None = None
    """Why nothing is mixed in again, in words, where nobody asked for nothing."""

    def taken_over(self, finetuning_type: str) -> dict[str, Any]:
        """Settings that are as in the earlier run unless someone says otherwise."""
        if self.continued is None:
            return {}
        found = {"finetuning_type": self.settings["finetuning_type"]}
        return {**found, **self._shape()} if finetuning_type == "lora" else found

    def refused(self, values: Mapping[str, Any], taken_over: Mapping[str, Any]) -> Iterator[Problem]:
        """Values that an adapter can't have, since it goes on from one that has others."""
        shape = self._shape()
        for name in taken_over:
            if self.continued is not None and name in shape and values.get(name) != shape[name]:
                yield Problem(
                    "adapter_shape_fixed",
                    where=Where(setting=name),
                    state=self.continued.label,
                    name=name,
                    value=shown(shape[name]),
                )

    def notes(self, finetuning_type: str, evaluated: bool) -> list[str]:
        """What a person should know."""
        if self.continued is None:
            return []
        merged = self.continued.kind == "adapter" and finetuning_type == "full"
        found = [
            f"Goes on from {self.continued.label}"
            + (", whose adapter is merged into the base model first." if merged else ".")
        ]
        if self.continued.replayed:
            again = ", ".join(self.continued.replayed)
            found.append(
                f"{100 * self.replay.share:g} % of what {self.continued.name} learnt from is mixed in again: {again}."
            )
        elif self.left_out:
            found.append(
                f"Nothing that {self.continued.name} learnt from is mixed in again: {self.left_out}."
            )
        if evaluated:
            found.append(f"The evaluation compares with {self.continued.label}, where this training begins.")
        return found

    def _shape(self) -> dict[str, Any]:
        """What an earlier adapter fixes."""
        if self.continued is None or self.continued.kind != "adapter":
            return {}
        fields = METHODS.load(self.continued.method).Settings.model_fields
        return {
            name: value
            for name, value in self.settings.items()
            if name in fields and extra_of(fields[name]).get("group") == "lora" and name not in _FREE
        }


FROM_BASE = Begun()
