"""Base models to start from, and the models that runs published."""

from pathlib import Path

import click

from tunery.cli.output import Group, answer, say, size, table, when

API_VERSION = 1


@click.group(cls=Group)
def command() -> None:
    """Base models to start from, and the models that runs published."""


@command.command("list")
@click.option("--base", is_flag=True, help="Base models instead of published ones.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="At most so many.")
@click.option("--after", help="Go on after this id.")
def list_(base: bool, limit: int, after: str | None) -> None:
    """Published models, newest first; with --base what can be fine-tuned."""
    from tunery.sdk.client import Client

    with Client() as client:
        if base:
            bases = client.base_models.list()
            rows = [
                (
                    b.name,
                    b.family,
                    b.parameters_b,
                    b.context,
                    b.licence,
                    "here" if b.available else "",
                    b.note,
                )
                for b in bases.data
            ]
            columns = ["name", "family", "billions", "context", "licence", "weights", "note"]
            answer(bases, lambda: table(columns, rows))
            return
        page = client.models.list(limit, after)
    shown = [
        (m.name, v.version, v.kind, v.base_model, size(v.bytes), when(v.created))
        if (v := m.latest)
        else (m.name, None, None, None, None, when(m.created))
        for m in page.data
    ]
    answer(page, lambda: table(["name", "version", "kind", "base", "size", "created"], shown))


@command.command("show")
@click.argument("model")
def show(model: str) -> None:
    """The versions of a model, with what each came from."""
    from tunery.sdk.client import Client

    with Client() as client:
        versions = client.models.versions(model)
    rows = [
        (
            v.version,
            v.kind,
            v.base_model,
            v.run,
            v.step,
            ", ".join(v.dataset_versions),
            v.evaluation,
            when(v.created),
        )
        for v in versions
    ]
    columns = ["version", "kind", "base", "run", "step", "data", "evaluation", "created"]
    answer(versions, lambda: table(columns, rows))


@command.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="The name to give it; the folder's name otherwise.")
@click.option("--licence", help="Its licence, as SPDX identifier or words.")
def add(path: Path, name: str | None, licence: str | None) -> None:
    """Register the folder PATH, on the server's machine, as a base model."""
    from tunery.sdk.client import Client

    with Client() as client:
        entry = client.base_models.add(str(path.resolve()), name=name, licence=licence)
    answer(entry, lambda: say(f"{entry.name} ({entry.architecture}) can be fine-tuned now."))


@command.command("publish")
@click.argument("run")
@click.option("--name", help="The model's name; the run's name otherwise.")
@click.option("--step", type=click.IntRange(1), help="A checkpoint's step; the final model otherwise.")
def publish(run: str, name: str | None, step: int | None) -> None:
    """Make a model version of what RUN trained."""
    from tunery.sdk.client import Client

    with Client() as client:
        task = client.models.publish(run, name=name, step=step)
        model = client.runs.get(run).model
    answer({"task": task, "model": model}, lambda: say(f"Published as {model or name}."))
