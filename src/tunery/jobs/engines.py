"""One stage of a run on an engine: what every stage's attempt is laid out with, and how it may be left.

What is done with the result is the handler's.
"""

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import Connection, Row

from tunery.core.attempt import AttemptFolder
from tunery.core.files import prune_folders
from tunery.core.folder import DataFolder
from tunery.jobs.attempts import Ended, Interrupted, LeftOff, drive
from tunery.jobs.giving_way import step_back
from tunery.jobs.queue import Claim, give_back
from tunery.jobs.work import Work
from tunery.schemas.engine import EngineInput, EngineSpec
from tunery.schemas.run import ResolvedSpec

LeaveOff = Callable[[Connection, Claim, Literal["paused", "cancelled"]], None]


def run_engine(
    work: Work,
    kind: Literal["train", "evaluate"],
    row: Row[Any],
    own: Callable[[], dict[str, Any]],
    leave_off: LeaveOff,
) -> Ended | None:
    """Drive engines to this stage's result. `row`: of the run; `own()`: what only this kind of engine is told, asked
    anew for each attempt, since an earlier one left checkpoints.

    None where no result is to come: the worker is closing, or somebody paused or cancelled the run; both are
    recorded then. Raises what `drive` raises.
    """
    resolved = ResolvedSpec.model_validate(row.resolved)
    resources = resolved.spec.resources
    threads = resources.threads or work.settings.threads

    cache = DataFolder(work.settings.folder).tokens
    prune_folders(cache, work.settings.token_cache_bytes)

    def lay_out(folder: AttemptFolder, number: int) -> None:
        inputs = EngineInput(
            kind=kind,
            attempt=number,
            token=work.claim.token,
            base_model=row.inputs["base_model"],
            threads=threads,
            tokens=str(cache) if work.settings.token_cache_bytes else None,
            **own(),
        )
        spec = EngineSpec(run=row.id, created=row.created, resolved=resolved)
        folder.prepare(spec.model_dump(mode="json"), inputs.model_dump(mode="json"))

    try:
        return drive(work, kind, resources.launcher, lay_out)
    except Interrupted as interrupted:
        with work.writing() as connection:
            if interrupted.gives_way_to is None:
                give_back(connection, work.claim, None)
            else:
                step_back(connection, work.claim, interrupted.gives_way_to)
    except LeftOff as left:
        with work.writing() as connection:
            leave_off(connection, work.claim, left.status)
    return None
