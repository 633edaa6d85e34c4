"""Pipelines: the list, the form of a definition with its schedule, and one with its versions and starts."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Form
from starlette.responses import Response

from tunery.core.clock import to_datetime
from tunery.core.errors import Problem
from tunery.schemas.pipeline import Pipeline, SavePipeline
from tunery.schemas.run import RunSpec, TriggerSpec
from tunery.sdk.spec import parse_spec, parse_yaml, to_yaml
from tunery.services import pipelines, runs
from tunery.services.context import Context
from tunery.services.resolve import as_written
from tunery.web.page import Visitor, filled, room

router = room()
_LIST = 50
_STARTS = 20
_WRITTEN = "The definition"
_FIRST = """base_model: NAME OF A BASE MODEL
method: sft
data: NAME OF A DATASET
settings:
  epochs: 1
publish:
  auto: true
"""


@router.get("/pipelines")
def overview(visit: Visitor, after: str | None = None) -> Response:
    """Pipelines and templates, newest first."""
    with visit.reading() as ctx:
        page = pipelines.list_pipelines(ctx, _LIST, after)
    return visit.page("pipelines.html", page=page, after=after)


@router.get("/pipelines/new")
def new(visit: Visitor, run: str | None = None, pipeline: str | None = None) -> Response:
    """The form: empty, from a run, or of a pipeline to change."""
    with visit.reading() as ctx:
        kept = pipelines.get_pipeline(ctx, pipeline) if pipeline else None
        spec = kept.spec if kept else _of_run(ctx, run) if run else None
    trigger = (spec.trigger if spec else TriggerSpec()).model_dump(mode="json")
    written = to_yaml(_without_trigger(spec)) if spec else _FIRST
    return visit.page("pipeline_new.html", kept=kept, written=written, trigger=trigger)


@router.post("/pipelines/new")
def begun(visit: Visitor, written: Annotated[str, Form(max_length=100_000)]) -> Response:
    """The form, begun with what was put together elsewhere."""
    trigger = TriggerSpec().model_dump(mode="json")
    return visit.page("pipeline_new.html", kept=None, written=written, trigger=trigger)


@router.get("/schedule/next")
def next_starts(
    visit: Visitor, cron: str = "", time_zone: str = "", first_day: str = "", last_day: str = ""
) -> Response:
    """When a schedule that is being written would start, or what is wrong with it."""
    told = _schedule(cron, time_zone=time_zone, first_day=first_day, last_day=last_day)
    try:
        trigger = filled(TriggerSpec, **told)
        times = _in_zone(pipelines.next_starts(trigger), trigger.time_zone)
    except Problem as problem:
        return visit.part("parts/next_starts.html", problem=problem, times=[], scheduled=True)
    return visit.part("parts/next_starts.html", problem=None, times=times, scheduled=bool(told))


@router.post("/pipelines")
def save(
    visit: Visitor,
    written: Annotated[str, Form(max_length=100_000)],
    pipeline_name: Annotated[str, Form()] = "",
    template: Annotated[bool, Form()] = False,
    cron: Annotated[str, Form()] = "",
    time_zone: Annotated[str, Form()] = "",
    first_day: Annotated[str, Form()] = "",
    last_day: Annotated[str, Form()] = "",
    overlap: Annotated[str, Form()] = "",
    missed: Annotated[str, Form()] = "",
    change: Annotated[str, Form()] = "",
) -> Response:
    """Keep a new pipeline, or a new version of one."""
    fields = parse_yaml(written, file=_WRITTEN)
    days = {"first_day": first_day, "last_day": last_day}
    if trigger := _schedule(cron, time_zone=time_zone, overlap=overlap, missed=missed, **days):
        fields["trigger"] = trigger
    spec = parse_spec(fields)
    with visit.writing() as ctx:
        kept = pipelines.change(ctx, change, spec) if change else _save(ctx, spec, pipeline_name, template)
    return visit.go(f"/pipelines/{kept.name}")


@router.get("/pipelines/{pipeline}")
def one(visit: Visitor, pipeline: str, after: str | None = None) -> Response:
    """One pipeline."""
    with visit.reading() as ctx:
        found = pipelines.get_pipeline(ctx, pipeline)
        versions = pipelines.list_versions(ctx, found.id)
        starts = pipelines.list_starts(ctx, found.id, _STARTS, after)
    values: dict[str, Any] = {"pipeline": found, "starts": starts, "after": after, "next": _told(found)}
    return visit.page("pipeline.html", versions=[(one, to_yaml(one.spec)) for one in versions], **values)


@router.post("/pipelines/{pipeline}/start")
def start(visit: Visitor, pipeline: str) -> Response:
    """Queue a run and show it."""
    with visit.writing() as ctx:
        run = pipelines.start(ctx, pipeline)
    return visit.go(f"/runs/{run.id}")


@router.post("/pipelines/{pipeline}/schedule")
def set_schedule(visit: Visitor, pipeline: str, active: Annotated[bool, Form()] = False) -> Response:
    """Turn the schedule on or off."""
    with visit.writing() as ctx:
        found = pipelines.set_schedule(ctx, pipeline, active=active)
    return visit.go(f"/pipelines/{found.name}")


@router.post("/pipelines/{pipeline}/delete")
def delete(visit: Visitor, pipeline: str) -> Response:
    """Forget a pipeline and its schedule."""
    with visit.writing() as ctx:
        pipelines.delete_pipeline(ctx, pipeline)
    return visit.go("/pipelines")


def _save(ctx: Context, spec: RunSpec, name: str, template: bool) -> Pipeline:
    checked = filled(SavePipeline, name=name.strip(), template=template, spec=spec)
    return pipelines.save(ctx, checked.model_copy(update={"spec": spec}))


def _of_run(ctx: Context, run: str) -> RunSpec:
    """What a run was, to be repeated: with the newest rows of its datasets, and as the next run of its name."""
    fields = as_written(runs.get_run(ctx, run).resolved)
    for ref in [*fields["data"]["train"], fields["data"].get("validation") or {}]:
        ref.pop("version", None)
    return RunSpec.model_validate(fields)


def _without_trigger(spec: RunSpec) -> RunSpec:
    return RunSpec.model_validate(spec.model_dump(mode="json", exclude_unset=True, exclude={"trigger"}))


def _schedule(cron: str, **fields: str) -> dict[str, str]:
    """What the form says of a schedule, as the fields of a trigger; nothing where it says none."""
    if not cron.strip():
        return {}
    told = {name: value.strip() for name, value in fields.items() if value.strip()}
    return {"type": "schedule", "cron": cron.strip(), **told}


def _told(pipeline: Pipeline) -> list[tuple[int, str]]:
    """The next times of a pipeline."""
    return _in_zone(pipeline.schedule.next if pipeline.schedule else [], pipeline.spec.trigger.time_zone)


def _in_zone(starts: list[int], time_zone: str) -> list[tuple[int, str]]:
    """Times as a clock in the schedule's zone shows them."""
    zone = ZoneInfo(time_zone)
    return [(start, to_datetime(start).astimezone(zone).strftime("%a %Y-%m-%d %H:%M")) for start in starts]
