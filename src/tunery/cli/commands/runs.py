"""Start, follow and control runs on the server."""

from pathlib import Path
from typing import Any

import click

from tunery.cli.output import Group, answer, note, number, say, table, wants_json, when
from tunery.cli.retention import trim
from tunery.cli.run_start import show_settings, start
from tunery.cli.runs_in_words import (
    by_dataset,
    clone,
    cost,
    estimated,
    findings,
    held_against,
    lineage,
    pause_costs,
    progress,
    run_name,
    sampled,
    waits,
)

API_VERSION = 1


@click.group(cls=Group)
def command() -> None:
    """Start, follow and control runs on the server."""


command.add_command(trim)


@command.command("create")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--follow", is_flag=True, help="Follow the run until it ends.")
@click.option("--dry-run", is_flag=True, help="Only show the resolved settings; start nothing.")
@click.option("--idle-time", is_flag=True, help="Give way to other runs and come back automatically.")
@click.option("--priority", type=click.IntRange(-100, 100), help="Higher goes first.")
def create(spec: Path, follow: bool, dry_run: bool, idle_time: bool, priority: int | None) -> None:
    """Start the run that SPEC, a YAML file, describes."""
    from tunery.sdk.client import Client
    from tunery.sdk.spec import changed, parse_spec, read_yaml

    fields = read_yaml(spec)
    fields = changed(fields, _turn(idle_time, priority))
    with Client() as client:
        start(client, parse_spec(fields, file=str(spec)), follow=follow, dry_run=dry_run)


@command.command("clone")
@click.argument("run")
@click.argument("changes", required=False, type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Another value of a setting.")
@click.option("--name", help="Name of the new run; by default that of RUN.")
@click.option("--follow", is_flag=True, help="Follow the run until it ends.")
@click.option("--dry-run", is_flag=True, help="Only show what differs and the settings; start nothing.")
@click.option("--idle-time", is_flag=True, help="Give way to other runs and come back automatically.")
@click.option("--priority", type=click.IntRange(-100, 100), help="Higher goes first.")
def clone_(
    run: str,
    changes: Path | None,
    settings: tuple[str, ...],
    name: str | None,
    follow: bool,
    dry_run: bool,
    idle_time: bool,
    priority: int | None,
) -> None:
    """Start RUN again with changes, and keep what differs.

    CHANGES is a YAML file with the fields of the run that are to be others; null takes one away.
    """
    from tunery.sdk.client import Client
    from tunery.sdk.spec import changed, read_yaml

    wanted = read_yaml(changes) if changes else {}
    if settings:  # null is kept, for the run to lose its value
        wanted["settings"] = {**(wanted.get("settings") or {}), **_settings(settings)}
    wanted = changed(wanted, {**_turn(idle_time, priority), **({"name": name} if name else {})})
    with Client() as client:
        start(client, client.runs.cloned(run, wanted), follow=follow, dry_run=dry_run)


def _turn(idle_time: bool, priority: int | None) -> dict[str, Any]:
    """What the options say about when it runs, as fields of a spec."""
    said = {"idle_time": idle_time or None, "priority": priority}
    told = {name: value for name, value in said.items() if value is not None}
    return {"resources": told} if told else {}


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE, with the value as YAML has it."""
    import yaml

    pairs = [one.partition("=") for one in given]
    if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
        raise click.UsageError(f"--set takes NAME=VALUE, as in --set epochs=2, not {wrong[0]}.")
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


@command.command("estimate")
@click.argument("spec", type=click.Path(path_type=Path))
def estimate(spec: Path) -> None:
    """Measure what the run that SPEC describes would need: tokens, steps, time and memory. Starts nothing."""
    from tunery.sdk.client import Client

    with Client() as client:
        found = client.runs.estimate(spec)

    def people() -> None:
        for line in estimated(found):
            say(line)

    answer(found, people)


@command.command("list")
@click.option("--state", help="Only runs in this state.")
@click.option("--name", help="Only runs with this name.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="The most items to list."
)
@click.option("--after", help="Continue after this id.")
def list_(state: str | None, name: str | None, limit: int, after: str | None) -> None:
    """Runs, newest first."""
    from tunery.sdk.client import Client

    with Client() as client:
        page = client.runs.list(state=state, name=name, limit=limit, after=after)

    def people() -> None:
        rows = [
            (run_name(run), run.state, progress(run), number(run.progress.loss), when(run.created))
            for run in page.data
        ]
        table(["run", "state", "progress", "loss", "created"], rows)
        if page.has_more:
            note(f"More: tunery runs list --after {page.data[-1].id}")

    answer(page, people)


@command.command("show")
@click.argument("run")
def show(run: str) -> None:
    """One run: state, stages, settings and where each came from.

    RUN is an id, a name (its newest run) or `name #2`.
    """
    from tunery.sdk.client import Client

    with Client() as client:
        found = client.runs.get(run)
        seen = client.runs.diagnose(run) if found.progress.step or found.reason else None
        curves = client.runs.metrics(run, points=2) if found.progress.step else []
        answered = client.runs.samples(run) if found.progress.step else []

    def people() -> None:
        say(f"{run_name(found)} ({found.id}): {found.state}, {progress(found)}")
        if found.waiting:
            say(found.waiting.message)
        if found.reason:
            from tunery.core.errors import Problem

            reason = Problem.from_dict(found.reason)
            say(f"{reason.message} {reason.cli_cure}")
        if found.idle_time or found.priority:
            say(f"Priority {found.priority}{', only in idle time' if found.idle_time else ''}.")
        say(f"{found.method} on {found.base_model}, created {when(found.created)}, attempts: {found.attempt}")
        if found.cost:
            say(cost(found.cost))
        for line in (*lineage(found), *clone(found.resolved)):
            say(line)
        if found.model:
            say(f"Published as {found.model}")
        if found.evaluation:
            say(f"Evaluation {found.evaluation}")
        table(
            ["stage", "state", "started", "ended"],
            [(s.name, s.state, when(s.started), when(s.ended)) for s in found.stages],
        )
        for line in held_against(found):
            say(line)
        if losses := list(by_dataset(curves)):
            table(["dataset", "training loss", "validation loss"], losses)
        for line in sampled(answered):
            say(line)
        for line in findings(seen) if seen and seen.findings else ():
            say(line)
        show_settings(found.resolved)

    answer(found, people)


@command.command("diagnose")
@click.argument("run")
def diagnose(run: str) -> None:
    """What a run's curves say: under-fitting, spikes, over-fitting and the like, and what to do.

    RUN is an id, a name (its newest run) or `name #2`; it may still be going on.
    """
    from tunery.sdk.client import Client

    with Client() as client:
        found = client.runs.diagnose(run)

    def people() -> None:
        for line in findings(found):
            say(line)

    answer(found, people)


@command.command("spec")
@click.argument("run")
def spec(run: str) -> None:
    """The YAML that RUN was made from: what the next run of its name may start from."""
    from tunery.sdk.client import Client
    from tunery.sdk.spec import to_yaml

    with Client() as client:
        found = client.runs.spec(run)
    answer(found, lambda: click.echo(to_yaml(found), nl=False))


@command.command("logs")
@click.argument("run")
@click.option("--follow", is_flag=True, help="Keep following until the run ends.")
@click.option(
    "--attempt", type=click.IntRange(1), help="Which attempt; the newest that printed anything by default."
)
def logs(run: str, follow: bool, attempt: int | None) -> None:
    """The engine's log of one attempt."""
    from tunery.cli.follow import follow_log
    from tunery.sdk.client import Client

    with Client() as client:
        part = client.runs.log(run, attempt=attempt)
        if wants_json():
            answer(part, lambda: None)
            return
        click.echo(part.text, nl=False)
        if follow:
            follow_log(client, run, part)


@command.command("watch")
@click.argument("run")
def watch(run: str) -> None:
    """Follow a run until it ends. Ctrl-C leaves it running."""
    from tunery.cli.follow import follow_run
    from tunery.sdk.client import Client

    with Client() as client:
        follow_run(client, run)


def _verb(name: str, help: str) -> None:
    @command.command(name, help=help)
    @click.argument("run")
    def ask(run: str) -> None:
        from tunery.sdk.client import Client

        with Client() as client:
            asked = getattr(client.runs, name)(run)

        def people() -> None:
            say(f"{run_name(asked)} is {asked.state}; requested: {name}.")
            if name == "pause" and asked.state == "running":
                say(pause_costs(asked))

        answer(asked, people)


_verb("stop", "Stop now and keep the model so far.")
_verb("pause", "Save a checkpoint and free the machine.")
_verb("resume", "Resume a paused run.")
_verb("cancel", "Stop at once and discard the model.")


@command.command("retry")
@click.argument("run")
@click.option(
    "--from",
    "stage",
    type=click.Choice(["prepare", "train", "evaluate", "publish"]),
    help="The stage to begin with; by default the one that failed.",
)
@click.option("--follow", is_flag=True, help="Follow the new run until it ends.")
def retry(run: str, stage: Any, follow: bool) -> None:
    """Start a new run that does RUN, which is over, again from a stage.

    `train` goes on from its newest checkpoint, `evaluate` and `publish` take the model it trained.
    """
    from tunery.cli.follow import follow_run
    from tunery.sdk.client import Client

    with Client() as client:
        made = client.runs.retry(run, stage)
        if follow:
            follow_run(client, made.id)
        else:
            answer(made, lambda: say(f"{run_name(made)} is {made.state} ({made.id}). {waits(made)}".strip()))
