"""Runs: resolve, start, watch, steer."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunery.core.errors import Problem
from tunery.schemas.diagnosis import Diagnosis
from tunery.schemas.estimate import Estimate, EstimateResult
from tunery.schemas.project import Page
from tunery.schemas.recipe import RecipePreview, RecipeReport
from tunery.schemas.retention import Retention
from tunery.schemas.run import (
    Checkpoint,
    MetricSeries,
    ResolvedSpec,
    RetryStage,
    Run,
    RunDetail,
    RunLog,
    RunSpec,
    SampledRow,
)
from tunery.schemas.task import Task
from tunery.sdk.call import Call, Flow, Pause, Resource, S, as_json, endpoint, flow, segment, send
from tunery.sdk.finish import finish_task
from tunery.sdk.spec import SpecLike, changed, parse_spec, to_spec
from tunery.sdk.stream import RunEvent

TERMINAL = frozenset({"succeeded", "stopped", "failed", "cancelled"})


_RUN = as_json(Run)
_DETAIL = as_json(RunDetail)
_RUNS = as_json(Page[Run])
_RESOLVED = as_json(ResolvedSpec)
_PREVIEW = as_json(RecipePreview)
_RECIPE = as_json(RecipeReport)
_SPEC = as_json(RunSpec)
_SERIES = as_json(list[MetricSeries])
_CHECKPOINTS = as_json(list[Checkpoint])
_SAMPLES = as_json(list[SampledRow])
_LOG = as_json(RunLog)
_ESTIMATE = as_json(Estimate)
_DIAGNOSIS = as_json(Diagnosis)
_RETENTION = as_json(Retention)
_TASK = as_json(Task)
_BODIES = as_json(list[dict[str, Any]])


def _sent(spec: SpecLike) -> dict[str, Any]:
    return to_spec(spec).model_dump(mode="json", exclude_unset=True)


def resolve(spec: SpecLike) -> Call[ResolvedSpec]:
    """What a spec would run with: every value and where it comes from. Nothing is started."""
    return Call("POST", "/api/v1/runs/resolve", _RESOLVED, body=_sent(spec), safe=True)


def preview(spec: SpecLike) -> Call[RecipePreview]:
    """What a spec's data adds up to: rows, characters, shares, tokens, leaks. Nothing is started."""
    return Call("POST", "/api/v1/runs/preview", _PREVIEW, body=_sent(spec), safe=True)


def spec(run: str) -> Call[RunSpec]:
    """A run as a person would write it: what the next run of its name may start from."""
    return Call("GET", f"/api/v1/runs/{segment(run)}/spec", _SPEC)


def estimate(spec: SpecLike, *, timeout: float | None = None, poll: float = 0.5) -> Flow[EstimateResult]:
    """What a run would need: tokens, steps, time and memory. Measures it, if nobody did before, and waits.

    Raises the Problem that submitting would, the one that measuring failed with, or TimeoutError.
    """
    call = Call("POST", "/api/v1/runs/estimate", _ESTIMATE, body=_sent(spec), safe=True)
    asked = yield from send(call)
    if asked.found is None:
        yield from finish_task(asked.task, timeout, poll)
        asked = yield from send(call)
    assert asked.found is not None
    return asked.found


def recipe(run: str) -> Call[RecipeReport]:
    """What a run's data came to, counted when its rows were laid out."""
    return Call("GET", f"/api/v1/runs/{segment(run)}/recipe", _RECIPE)


def create(spec: SpecLike, *, idempotency_key: str | None = None) -> Call[RunDetail]:
    """Start a run. Sent again under the same key, it answers with the run that the first one made."""
    key = idempotency_key or secrets.token_urlsafe(18)
    return Call(
        "POST", "/api/v1/runs", _DETAIL, body=_sent(spec), headers={"Idempotency-Key": key}, safe=True
    )


def cloned(run: str, changes: Mapping[str, Any] | None = None) -> Flow[RunSpec]:
    """The spec of a clone: a run with changes, which are fields of its spec; None takes one away. Starts nothing.

    `resolve` tells what differs, in `clone`, and `create` starts it.
    """
    written = yield from send(spec(run))
    fields = changed(written.model_dump(mode="json", exclude_unset=True), changes or {})
    return parse_spec({**fields, "clone_of": run})


def clone(
    run: str, changes: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
) -> Flow[RunDetail]:
    """Start a run with changes, as in `{"settings": {"learning_rate": 0.0002}}`; see `cloned`."""
    made = yield from cloned(run, changes)
    return (yield from send(create(made, idempotency_key=idempotency_key)))


def list_(
    *, state: str | None = None, name: str | None = None, limit: int = 20, after: str | None = None
) -> Call[Page[Run]]:
    """Runs, newest first."""
    query = {"state": state, "name": name, "limit": limit, "after": after}
    return Call("GET", "/api/v1/runs", _RUNS, query=query)


def get(run: str) -> Call[RunDetail]:
    """One run with its frozen spec."""
    return Call("GET", f"/api/v1/runs/{segment(run)}", _DETAIL)


def events(run: str, *, after: int = 0, limit: int = 1000) -> Call[list[RunEvent]]:
    """Events after the one with id `after`."""
    path = f"/api/v1/runs/{segment(run)}/events"
    return Call(
        "GET",
        path,
        lambda answer: [RunEvent.of(body) for body in _BODIES(answer)],
        query={"after": after, "limit": limit},
    )


def metrics(
    run: str,
    names: Sequence[str] = (),
    *,
    first_step: int | None = None,
    last_step: int | None = None,
    points: int = 1000,
) -> Call[list[MetricSeries]]:
    """Curves, thinned to about `points` points; all metrics when none is named."""
    query = {"name": list(names), "first_step": first_step, "last_step": last_step, "points": points}
    return Call("GET", f"/api/v1/runs/{segment(run)}/metrics", _SERIES, query=query)


def diagnose(run: str) -> Call[Diagnosis]:
    """What a run's curves say so far: under-fitting, spikes, over-fitting …, with evidence and advice."""
    return Call("GET", f"/api/v1/runs/{segment(run)}/diagnosis", _DIAGNOSIS)


def samples(run: str) -> Call[list[SampledRow]]:
    """Validation rows that the model answered at each validation, by step."""
    return Call("GET", f"/api/v1/runs/{segment(run)}/samples", _SAMPLES)


def log(run: str, *, offset: int = 0, attempt: int | None = None) -> Call[RunLog]:
    """The engine's log from byte `offset`: of an attempt, or of the newest that printed anything."""
    query = {"offset": offset, "attempt": attempt}
    return Call("GET", f"/api/v1/runs/{segment(run)}/log", _LOG, query=query)


def checkpoints(run: str) -> Call[list[Checkpoint]]:
    """Resumable states of a run."""
    return Call("GET", f"/api/v1/runs/{segment(run)}/checkpoints", _CHECKPOINTS)


def stop(run: str) -> Call[Run]:
    """Stop now and keep the model so far."""
    return Call("POST", f"/api/v1/runs/{segment(run)}/stop", _RUN)


def pause(run: str) -> Call[Run]:
    """Save and free the machine; `resume` goes on."""
    return Call("POST", f"/api/v1/runs/{segment(run)}/pause", _RUN)


def resume(run: str) -> Call[Run]:
    """Resume a paused run."""
    return Call("POST", f"/api/v1/runs/{segment(run)}/resume", _RUN)


def retry(
    run: str, stage: RetryStage | None = None, *, idempotency_key: str | None = None
) -> Call[RunDetail]:
    """Start a new run that does a finished one again from a stage; none = the one that failed."""
    key = idempotency_key or secrets.token_urlsafe(18)
    path = f"/api/v1/runs/{segment(run)}/retry"
    return Call("POST", path, _DETAIL, body={"stage": stage}, headers={"Idempotency-Key": key}, safe=True)


def cancel(run: str) -> Call[Run]:
    """Stop at once and discard the model."""
    return Call("POST", f"/api/v1/runs/{segment(run)}/cancel", _RUN)


def wait(
    run: str,
    *,
    timeout: float | None = None,
    poll: float = 1.0,
    progress: Callable[[Run], None] | None = None,
) -> Flow[RunDetail]:
    """Wait until a run has ended and return it.

    Raises the Problem it failed with, the one it was paused for (a full disk), or TimeoutError.
    """
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        found = yield from send(get(run))
        if progress is not None:
            progress(found)
        if found.state in ("failed", "paused") and found.reason:
            raise Problem.from_dict(found.reason)
        if found.state in TERMINAL:
            return found
        if end is not None and time.monotonic() > end:
            raise TimeoutError(f"the run {run} is {found.state} after {timeout} s")
        yield Pause(poll)


def retention() -> Call[Retention]:
    """What is kept of finished runs, for how long, and what a trim would remove now. Nothing is removed."""
    return Call("GET", "/api/v1/retention", _RETENTION)


def trim(*, timeout: float | None = None, poll: float = 0.3) -> Flow[Task]:
    """Remove now what the rules of `retention` say, and wait. The task's result has a count and bytes of each part."""
    asked = yield from send(Call("POST", "/api/v1/retention", _TASK))
    return (yield from finish_task(asked.id, timeout, poll))


class Runs(Resource[S]):
    """Runs: resolve, start, watch, steer."""

    resolve = endpoint(resolve)
    preview = endpoint(preview)
    estimate = flow(estimate)
    recipe = endpoint(recipe)
    spec = endpoint(spec)
    create = endpoint(create)
    cloned = flow(cloned)
    clone = flow(clone)
    list = endpoint(list_)
    get = endpoint(get)
    events = endpoint(events)
    metrics = endpoint(metrics)
    diagnose = endpoint(diagnose)
    samples = endpoint(samples)
    log = endpoint(log)
    checkpoints = endpoint(checkpoints)
    stop = endpoint(stop)
    pause = endpoint(pause)
    resume = endpoint(resume)
    cancel = endpoint(cancel)
    retry = endpoint(retry)
    wait = flow(wait)
    retention = endpoint(retention)
    trim = flow(trim)
