"""What a training or an evaluation needs, opened from the paths in the attempt folder. Knows no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunery.core.clock import to_datetime
from tunery.data.arrow import read_arrow
from tunery.data.render import ChatRenderer
from tunery.data.rows import Row
from tunery.methods.point import METHODS, Method
from tunery.models.families.point import Family
from tunery.models.folder import ModelFolder, inspect_folder, load_family, sequence_limit
from tunery.models.rendering import renderer_of
from tunery.schemas.engine import EngineInput, EngineSpec


class Joined(Sequence[Row]):
    """Several row sequences as one."""

    def __init__(self, parts: list[Sequence[Row]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def __getitem__(self, index: Any) -> Any:
        for part in self._parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(index)


@dataclass(frozen=True)
class TrainInputs:
    """Everything a training is made of, before torch."""

    base: ModelFolder
    family: Family
    method: Method
    settings: Any
    """The method's own Settings, with max_sequence_length as it will be."""
    renderer: ChatRenderer
    train: Sequence[Row]
    validation: Sequence[Row] | None
    notes: list[str]
    created: int
    """When the run was submitted: what templates are told of the date."""


def read_train_inputs(spec: EngineSpec, given: EngineInput) -> TrainInputs:
    """Open all of it. Raises Problem."""
    base = inspect_folder(Path(given.base_model))
    family = load_family(base)
    run = spec.resolved.spec
    method = METHODS.load(run.method)
    settings = method.Settings.model_validate(run.settings)
    length, note = sequence_limit(settings.max_sequence_length, base.limit)
    settings = settings.model_copy(update={"max_sequence_length": length})
    return TrainInputs(
        base=base,
        family=family,
        method=method,
        settings=settings,
        renderer=renderer_of(base, now=to_datetime(spec.created)),
        train=Joined([read_arrow(Path(path)) for path in given.train]),
        validation=read_arrow(Path(given.validation)) if given.validation else None,
        notes=[note] if note else [],
        created=spec.created,
    )
