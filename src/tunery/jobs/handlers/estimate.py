"""Estimates what a run will need: an engine tries it for a moment, on the rows it would train on. No run is made."""

import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from tunery.core.attempt import AttemptFolder, RunFolder
from tunery.core.errors import Problem
from tunery.data.laid_out import lay_out_training
from tunery.jobs.analyses import Closing, finding_out, keep
from tunery.jobs.prepare import sources_of
from tunery.jobs.queue import Claim, Fenced
from tunery.jobs.work import Work
from tunery.launch.point import LAUNCHERS, Launcher, engine_call
from tunery.schemas.engine import EngineInput, EngineSpec
from tunery.schemas.estimate import EstimateResult
from tunery.schemas.run import ResolvedSpec

API_VERSION = 1

_POLL_SECONDS = 0.2
"""Between looks at the probe's folder: somebody waits for the answer, and a look is a few stats."""
_TELL_SECONDS = 1.0


def work(work: Work) -> None:
    payload = work.claim.payload
    resolved = ResolvedSpec.model_validate(payload["resolved"])
    launcher = LAUNCHERS.load(resolved.spec.resources.launcher)
    with finding_out(work) as place:
        folder = RunFolder(place)
        folder.data.mkdir()
        attempt = _lay_out(work, folder, resolved, payload)
        command, environment = engine_call(work.settings)
        launcher.start([*command, str(attempt.path)], attempt, environment)
        try:
            _follow(work, launcher, attempt)
        finally:
            launcher.kill(attempt)
        found = attempt.read_result()
        if found is None:
            raise Problem("engine_failed", detail="it ended without a word")
        result = EstimateResult.model_validate(found)
        if result.error is not None:
            raise Problem.from_dict(result.error)
        keep(work, result.model_dump(mode="json"))


def _lay_out(work: Work, folder: RunFolder, resolved: ResolvedSpec, payload: dict[str, Any]) -> AttemptFolder:
    inputs, start = payload["inputs"], payload["start"]
    if resolved.continues is not None and not Path(start).is_dir():
        raise Problem("continue_weights_gone", state=resolved.continues.label)
    train, validation = lay_out_training(folder.data, sources_of(work.blobs, inputs, resolved), resolved)
    given = EngineInput(
        kind="estimate",
        attempt=1,
        token=work.claim.token,
        base_model=inputs["base_model"],
        start=start,
        train=[str(train)],
        validation=None if validation is None else str(validation),
        threads=resolved.spec.resources.threads or work.settings.engine_threads,
    )
    attempt = folder.attempt(1)
    spec = EngineSpec(run=work.claim.task, created=0, resolved=resolved)
    attempt.prepare(spec.model_dump(mode="json"), given.model_dump(mode="json"))
    return attempt


def _follow(work: Work, launcher: Launcher, attempt: AttemptFolder) -> None:
    """Wait for the engine's last word, and tell how far it is."""
    offset, told = 0, time.monotonic()
    while launcher.alive(attempt) and attempt.read_result() is None:
        if work.closing.is_set():
            raise Closing
        if work.lost.is_set():
            raise Fenced(work.claim.task)
        events, offset = attempt.read_events(offset)
        progress = [event for event in events if event["type"] == "progress"]
        if progress and time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            newest = progress[-1]
            work.report({"stage": newest["stage"], "done": newest["done"], "total": max(newest["total"], 1)})
        time.sleep(_POLL_SECONDS)  # the engine tells by a file


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    """Its reason is on the task, where the estimate is looked up."""
