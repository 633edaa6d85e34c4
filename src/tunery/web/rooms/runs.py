"""Runs: the list, and one run with its curves, log, events, evaluation and settings."""

from typing import Annotated, Any, Literal, get_args

from fastapi import Form, Query
from starlette.responses import Response

from tunery.core.errors import Problem
from tunery.methods.point import writes_text
from tunery.schemas.model import PublishRequest
from tunery.schemas.run import RetryRequest, RunDetail, RunState
from tunery.schemas.settings import Origin
from tunery.services import (
    continuing,
    diagnosis,
    evaluations,
    extensions,
    models,
    retry,
    runs,
    samples,
    tasks,
)
from tunery.services.context import Context
from tunery.services.resolve import acting
from tunery.web.nav import Nav
from tunery.web.page import Visitor, filled, room
from tunery.web.words import model_address

NAV = Nav(2, "Runs", "/runs", "run", also=("/pipelines", "/retention"))
router = room()
_LIST = 25
_ROWS = 8
_EVENTS = 1000

Tab = Literal["curves", "evaluation", "log", "events", "settings"]
Verb = Literal["stop", "pause", "resume", "cancel"]
_SAID: dict[Verb, str] = {
    "stop": "Stopping; the model so far is kept.",
    "pause": "Pausing after saving a checkpoint.",
    "resume": "Resuming from the newest checkpoint.",
    "cancel": "Cancelling.",
}


@router.get("/runs")
def overview(
    visit: Visitor, state: RunState | None = None, name: str | None = None, after: str | None = None
) -> Response:
    """All runs, newest first; the address says which."""
    with visit.reading() as ctx:
        page = runs.list_runs(ctx, state=state, name=name or None, limit=_LIST, after=after)
    values = {"page": page, "state": state, "name": name, "after": after}
    if visit.request.headers.get("HX-Target") == "run-list":
        return visit.part("parts/run_list.html", **values)
    return visit.page("runs.html", **values)


@router.get("/runs/{run}")
def one(visit: Visitor, run: str, tab: Tab = "curves", offset: Annotated[int, Query(ge=0)] = 0) -> Response:
    """One run."""
    with visit.reading() as ctx:
        found = runs.get_run(ctx, run)
        values: dict[str, Any] = {**_head(ctx, found), "tab": tab, "size": _ROWS, "last": found.last_event}
        values["continuable"] = continuing.may_go_on(ctx, found.id)
        values["evaluation"] = evaluations.get_evaluation(ctx, found.evaluation) if found.evaluation else None
        if tab == "evaluation" and found.evaluation:
            values["rows"] = evaluations.read_rows(ctx, found.evaluation, offset, _ROWS)
            values["metrics"] = {info.name: info for info in extensions.metrics()}
        if tab in ("curves", "events"):
            values["happened"] = _happened(ctx, found.id)
        if tab == "curves":
            values |= {**_diagnosed(ctx, found.id), "samples": samples.samples(ctx, found.id)}
        if tab == "settings":
            values["methods"] = {info.name: info for info in extensions.methods()}
            values["used"] = _used(found)
    return visit.page("run.html", **values)


@router.get("/runs/{run}/head")
def head(visit: Visitor, run: str) -> Response:
    """State, stages and progress, renewed while the page is open."""
    with visit.reading() as ctx:
        values = _head(ctx, runs.get_run(ctx, run))
    return visit.part("parts/run_head.html", **values)


@router.get("/runs/{run}/diagnosis")
def diagnose(visit: Visitor, run: str) -> Response:
    """What the curves say, renewed while the training goes on."""
    with visit.reading() as ctx:
        values = {"run": runs.get_run(ctx, run), **_diagnosed(ctx, run)}
    return visit.part("parts/run_diagnosis.html", **values)


@router.get("/runs/{run}/samples")
def answered(visit: Visitor, run: str) -> Response:
    """What the model answered so far."""
    with visit.reading() as ctx:
        values = {"run": runs.get_run(ctx, run), "samples": samples.samples(ctx, run)}
    return visit.part("parts/run_samples.html", **values)


@router.post("/runs/{run}/ask/{verb}")
def ask(visit: Visitor, run: str, verb: Verb) -> Response:
    """Stop, pause, resume or cancel."""
    with visit.writing() as ctx:
        runs.ask(ctx, run, verb)
        values = _head(ctx, runs.get_run(ctx, run))
    return visit.part("parts/run_head.html", say=_SAID[verb], **values)


@router.post("/runs/{run}/retry")
def again(visit: Visitor, run: str, stage: Annotated[str, Form()] = "") -> Response:
    """Retry from a stage, and show the new run."""
    asked = filled(RetryRequest, stage=stage or None)
    with visit.writing() as ctx:
        made = retry.retry(ctx, run, asked.stage)
    return visit.go(f"/runs/{made.id}")


@router.post("/runs/{run}/publish")
def publish(
    visit: Visitor, run: str, name: Annotated[str, Form()] = "", step: Annotated[str, Form()] = ""
) -> Response:
    """Make a model version of the run's result, or of one of its checkpoints."""
    with visit.writing() as ctx:
        request = filled(PublishRequest, run=run, name=name.strip(), step=step)
        task = models.publish(ctx, request)
    return visit.part("parts/publish_progress.html", task=task, problem=None)


@router.get("/publishing/{task}")
def publishing(visit: Visitor, task: str) -> Response:
    """How far a publication is; ends at the model."""
    with visit.reading() as ctx:
        found = tasks.get_task(ctx, task)
        made = runs.get_run(ctx, found.run).model if found.state == "succeeded" and found.run else None
    if made is not None:
        return visit.go(model_address(made))
    problem = Problem.from_dict(found.reason) if found.state == "failed" and found.reason else None
    return visit.part("parts/publish_progress.html", task=found, problem=problem)


def _head(ctx: Context, run: RunDetail) -> dict[str, Any]:
    ended = runs.ended(run.state)
    return {
        "run": run,
        "writes_text": writes_text(run.method),
        "reason": Problem.from_dict(run.reason) if run.reason and "code" in run.reason else None,
        "publishable": _publishable(ctx, run) if ended and run.state != "cancelled" else [],
        "published": models.published_steps(ctx, run.id) if ended else {},
        "retried": retry.stages_of(run),
    }


def _diagnosed(ctx: Context, run: str) -> dict[str, Any]:
    """What the curves say, and the steps to mark: those that a finding names, else where it begins."""
    found = diagnosis.diagnosis(ctx, run)
    marks = {step for one in found.findings for step in (one.steps or [one.first_step]) if step > 0}
    return {"diagnosis": found, "marks": sorted(marks)}


def _used(run: RunDetail) -> list[tuple[str, Any, str]]:
    """Settings that act in this run, with value and origin: what someone chose comes first."""
    order = list(get_args(Origin))[::-1]
    found = [
        (name, value, run.resolved.origins.get(name, "default"))
        for name, value in acting(run.resolved).items()
    ]
    return sorted(found, key=lambda one: order.index(one[2]))


def _publishable(ctx: Context, run: RunDetail) -> list[tuple[int | None, int, int | None]]:
    """States of the model that aren't published yet: (what to ask for, its step, bytes of a checkpoint)."""
    known = models.published_steps(ctx, run.id)
    final = [(None, run.result.steps, None)] if run.result and run.result.output else []
    steps = {one.step: one.bytes for one in runs.checkpoints(ctx, run.id)}
    kept = [(step, step, size) for step, size in steps.items() if not (final and step == final[0][1])]
    return [one for one in (*final, *kept) if one[1] not in known]


def _happened(ctx: Context, run: str) -> list[dict[str, Any]]:
    """All events but the measurements, in order.

    Of the progress of one thing only the newest is kept.
    """
    found: list[dict[str, Any]] = []
    last = 0
    while page := runs.events(ctx, run, last, _EVENTS, metrics=False):
        last = page[-1]["id"]
        for event in page:
            if (
                found
                and event["type"] == found[-1]["type"] == "progress"
                and event["stage"] == found[-1]["stage"]
            ):
                found.pop()
            found.append(event)
    return found
