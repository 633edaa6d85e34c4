"""What a run will come to, told before it starts: rows, steps, what is measured, what isn't.

Where the rows' lengths decide too, or a sample is drawn, the counts are said to be rough.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tunery.schemas.recipe import RowCounts
from tunery.schemas.run import Outlook, RunSpec


class Counted(Protocol):
    """Data, as far as it is looked at here."""

    @property
    def rows(self) -> int: ...
    @property
    def row_kind(self) -> str: ...


def outlook_of(
    spec: RunSpec,
    values: Mapping[str, Any],
    counts: RowCounts,
    train: Sequence[Counted],
    held_out: Counted | None,
) -> Outlook:
    """The outlook of a spec whose settings are all filled in, and whose rows are counted."""
    rough = (
        values["packing"]
        or values.get("pseudo_multi_turn_probability", 0) > 0
        or spec.data.mix is not None
        or bool(spec.continue_from and spec.continue_from.replay)
        or any((ref.sampling_rate or 1) % 1 for ref in spec.data.train)
        or any(one.row_kind == "text" for one in train)
    )
    return Outlook(
        rows=counts.train,
        validation_rows=counts.validation,
        held_out_rows=0 if held_out is None else min(held_out.rows, spec.evaluate.max_rows),
        rows_per_step=values["batch_size"] * max(1, values["gradient_accumulation_steps"]),
        steps=_steps(values, counts.train),
        rough=bool(rough),
    )


def _steps(values: Mapping[str, Any], rows: int) -> int:
    """As the engine counts them: batches of an epoch, in groups of gradient_accumulation_steps."""
    batches = -(-rows // values["batch_size"])
    steps = -(-batches // max(1, values["gradient_accumulation_steps"])) * values["epochs"]
    return steps if values["max_steps"] < 0 else min(steps, values["max_steps"])
