"""Runs: resolve, start, watch, steer."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from tunery.api.description import STREAM_ERRORS
from tunery.api.idempotency import ByKey
from tunery.api.paging import After, Limit
from tunery.api.session import Reading, Writing
from tunery.api.streams import EventStream, Followed, follow, followed_run
from tunery.schemas.diagnosis import Diagnosis
from tunery.schemas.estimate import Estimate
from tunery.schemas.project import Page
from tunery.schemas.recipe import RecipePreview, RecipeReport
from tunery.schemas.run import (
    Checkpoint,
    MetricSeries,
    ResolvedSpec,
    RetryRequest,
    Run,
    RunDetail,
    RunLog,
    RunSpec,
    RunState,
    SampledRow,
)
from tunery.services import diagnosis, estimates, retry, runs, samples

router = APIRouter(prefix="/runs")


@router.post("/resolve")
def resolve_run(ctx: Reading, spec: RunSpec) -> ResolvedSpec:
    """What a spec would run with: every value and where it comes from. Nothing is started."""
    return runs.resolve(ctx, spec)


@router.post("/preview")
def preview_run(ctx: Reading, spec: RunSpec) -> RecipePreview:
    """What a spec's data adds up to: rows, characters, shares, tokens, leaks. Nothing is started."""
    return runs.preview(ctx, spec)


@router.post("/estimate")
def estimate_run(ctx: Writing, spec: RunSpec) -> Estimate:
    """What a run would need: tokens, steps, time and memory, from a short measurement of the real model.

    Asked for the first time it queues the measurement; asked again it says how far that is, and then what was found.
    """
    return estimates.ask(ctx, spec)


@router.post("", status_code=201, response_model=RunDetail)
def submit_run(ctx: Writing, once: ByKey, spec: RunSpec) -> Response:
    """Queue a run. With an Idempotency-Key it is queued once, however often it is sent."""
    return once.answer(ctx, 201, lambda: runs.submit(ctx, spec))


@router.get("")
def list_runs(
    ctx: Reading,
    state: RunState | None = None,
    name: Annotated[str | None, Query(max_length=128)] = None,
    limit: Limit = 20,
    after: After = None,
) -> Page[Run]:
    """Runs, newest first."""
    return runs.list_runs(ctx, state=state, name=name, limit=limit, after=after)


@router.get("/{run}")
def get_run(ctx: Reading, run: str) -> RunDetail:
    """One run with its frozen spec."""
    return runs.get_run(ctx, run)


@router.get("/{run}/spec", response_model_exclude_unset=True)
def get_run_spec(ctx: Reading, run: str) -> RunSpec:
    """The run as a person would write it: what the next run of its name may start from."""
    return runs.spec_of(ctx, run)


@router.get("/{run}/recipe")
def get_run_recipe(ctx: Reading, run: str) -> RecipeReport:
    """What the run's data added up to, counted when its rows were prepared."""
    return runs.recipe(ctx, run)


@router.get("/{run}/events")
def list_run_events(
    ctx: Reading,
    run: str,
    after: Annotated[int, Query(ge=0, le=2**62, description="The id of the last event already seen.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    metrics: Annotated[bool, Query(description="Include metric events.")] = True,
) -> list[dict[str, Any]]:
    """Events after the one with id `after`, in order."""
    return runs.events(ctx, run, after, limit, metrics=metrics)


@router.get("/{run}/stream", response_class=EventStream, responses=STREAM_ERRORS)
async def stream_run(followed: Annotated[Followed, Depends(followed_run)]) -> EventStream:
    """Events as they happen, until the run has ended; the last one is `end`. Goes on after Last-Event-ID."""
    return EventStream(follow(followed))


@router.get("/{run}/metrics")
def read_run_metrics(
    ctx: Reading,
    run: str,
    name: Annotated[list[str], Query(max_length=100)] = [],  # noqa: B006 - FastAPI copies it
    first_step: Annotated[int, Query(ge=0, le=2**62)] = 0,
    last_step: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    points: Annotated[
        int, Query(ge=2, le=100_000, description="Downsample each curve to about this many points.")
    ] = 1000,
) -> list[MetricSeries]:
    """Curves by name; no name = all."""
    return runs.metrics(ctx, run, name, first_step, last_step, points)


@router.get("/{run}/samples")
def list_run_samples(ctx: Reading, run: str) -> list[SampledRow]:
    """Validation rows that the model answered at each validation, by step."""
    return samples.samples(ctx, run)


@router.get("/{run}/diagnosis")
def diagnose_run(ctx: Reading, run: str) -> Diagnosis:
    """What the run's curves say so far: under-fitting, spikes, over-fitting …, with evidence and advice."""
    return diagnosis.diagnosis(ctx, run)


@router.get("/{run}/log")
def read_run_log(
    ctx: Reading,
    run: str,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
    attempt: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="None = the newest that printed anything.")
    ] = None,
) -> RunLog:
    """What the engine of an attempt printed, from a byte offset."""
    return runs.log(ctx, run, offset, attempt)


@router.get("/{run}/checkpoints")
def list_run_checkpoints(ctx: Reading, run: str) -> list[Checkpoint]:
    """Checkpoints that a run can resume from or be published at."""
    return runs.checkpoints(ctx, run)


@router.post("/{run}/stop")
def stop_run(ctx: Writing, run: str) -> Run:
    """Stop the run and keep the model so far."""
    return runs.ask(ctx, run, "stop")


@router.post("/{run}/pause")
def pause_run(ctx: Writing, run: str) -> Run:
    """Save a checkpoint and free the machine."""
    return runs.ask(ctx, run, "pause")


@router.post("/{run}/resume")
def resume_run(ctx: Writing, run: str) -> Run:
    """Resume a paused run."""
    return runs.ask(ctx, run, "resume")


@router.post("/{run}/retry", status_code=201, response_model=RunDetail)
def retry_run(ctx: Writing, once: ByKey, run: str, request: RetryRequest) -> Response:
    """Queue a new run that does a finished one again from a stage, with what the stages before it made."""
    return once.answer(ctx, 201, lambda: retry.retry(ctx, run, request.stage))


@router.post("/{run}/cancel")
def cancel_run(ctx: Writing, run: str) -> Run:
    """Stop the run at once and discard the model."""
    return runs.ask(ctx, run, "cancel")
