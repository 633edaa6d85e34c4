"""Saved run definitions, started by hand or on a schedule."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunery.cli.output import Group, answer, say, table, when

if TYPE_CHECKING:
    from tunery.schemas.pipeline import Pipeline, PipelineCheck

API_VERSION = 1


@click.group(cls=Group)
def command() -> None:
    """Saved run definitions, started by hand or on a schedule."""


@command.command("save")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--name", help="Its name; ft_[base model]_[timestamp] by default.")
@click.option("--template", is_flag=True, help="Save it as a template to start other definitions from.")
@click.option("--dry-run", is_flag=True, help="Only check it, and show when it would start; save nothing.")
def save(spec: Path, name: str | None, template: bool, dry_run: bool) -> None:
    """Save SPEC, a YAML file; with the NAME of an existing pipeline, as its newest version."""
    from tunery.core.errors import Problem
    from tunery.sdk.client import Client

    with Client() as client:
        if dry_run:
            found = client.pipelines.check(spec)
            answer(found, lambda: _show_check(found))
            return
        try:
            kept = client.pipelines.save(spec, name=name, template=template)
        except Problem as problem:
            if problem.code != "name_taken" or name is None:
                raise
            kept = client.pipelines.change(name, spec)
    answer(kept, lambda: _show(kept))


@command.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="The most items to list."
)
@click.option("--after", help="Continue after this id.")
def list_(limit: int, after: str | None) -> None:
    """Pipelines and templates, newest first."""
    from tunery.sdk.client import Client

    with Client() as client:
        page = client.pipelines.list(limit, after)
    rows = [
        (
            f"{p.name}@{p.version}",
            _kind(p),
            p.spec.method,
            p.spec.base_model or f"as {p.spec.continue_from.run}"
            if p.spec.continue_from
            else p.spec.base_model,
            _next(p),
        )
        for p in page.data
    ]
    answer(page, lambda: table(["name", "kind", "method", "base", "next start"], rows))


@command.command("show")
@click.argument("pipeline")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print its definition, as a file for `pipelines save`.")
def show(pipeline: str, as_yaml: bool) -> None:
    """One pipeline: its definition, schedule and starts."""
    from tunery.sdk.client import Client
    from tunery.sdk.spec import to_yaml

    with Client() as client:
        found = client.pipelines.get(pipeline)
        starts = client.pipelines.starts(pipeline).data
    if as_yaml:
        answer(found.spec, lambda: click.echo(to_yaml(found.spec), nl=False))
        return

    def people() -> None:
        _show(found)
        say("")
        click.echo(to_yaml(found.spec), nl=False)
        if starts:
            say("")
            rows = [
                (when(s.created), s.outcome, s.run or (s.reason or {}).get("message", "")) for s in starts
            ]
            table(["start", "outcome", ""], rows)

    answer({"pipeline": found, "starts": starts}, people)


@command.command("start")
@click.argument("pipeline")
def start(pipeline: str) -> None:
    """Start a run of PIPELINE and follow it."""
    from tunery.cli.follow import follow_run
    from tunery.sdk.client import Client

    with Client() as client:
        follow_run(client, client.pipelines.start(pipeline).id)


@command.command("schedule")
@click.argument("pipeline")
@click.argument("state", type=click.Choice(["on", "off"]))
def schedule(pipeline: str, state: str) -> None:
    """Turn the schedule of PIPELINE on or off."""
    from tunery.sdk.client import Client

    with Client() as client:
        found = client.pipelines.set_schedule(pipeline, active=state == "on")
    answer(found, lambda: _show(found))


@command.command("delete")
@click.argument("pipeline")
def delete(pipeline: str) -> None:
    """Delete PIPELINE and its schedule; its runs are kept."""
    from tunery.sdk.client import Client

    with Client() as client:
        client.pipelines.delete(pipeline)
    answer({"deleted": pipeline}, lambda: say(f"{pipeline} is deleted."))


def _kind(pipeline: "Pipeline") -> str:
    return "template" if pipeline.template else "scheduled" if pipeline.schedule else "by hand"


def _next(pipeline: "Pipeline") -> str:
    schedule = pipeline.schedule
    if schedule is None:
        return ""
    return when(schedule.next[0]) if schedule.next else "over" if schedule.active else "off"


def _show(pipeline: "Pipeline") -> None:
    say(f"{pipeline.name}@{pipeline.version}  {_kind(pipeline)}, changed {when(pipeline.changed)}")
    if pipeline.schedule is not None:
        trigger = pipeline.spec.trigger
        say(f"    {trigger.cron} in {trigger.time_zone}: {'on' if pipeline.schedule.active else 'off'}")
        _show_starts(pipeline.schedule.next)


def _show_check(found: "PipelineCheck") -> None:
    from tunery.cli.run_start import show_plan

    show_plan(found.resolved)
    _show_starts(found.next)


def _show_starts(times: "list[int]") -> None:
    for start in times:
        say(f"    starts {when(start)}")
