"""Base models to fine-tune, and published models."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunery.cli.output import Group, answer, number, say, size, table, when

if TYPE_CHECKING:
    from tunery.schemas.model import ModelVersion

API_VERSION = 1


@click.group(cls=Group)
def command() -> None:
    """Base models to fine-tune, and published models."""


@command.command("list")
@click.option("--base", is_flag=True, help="List base models instead of published models.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="The most items to list."
)
@click.option("--after", help="Continue after this id.")
def list_(base: bool, limit: int, after: str | None) -> None:
    """Published models, newest first; with --base, the base models."""
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
        (f"{m.name}:{v.version}", v.kind, v.base_model, size(v.bytes), when(v.created))
        if (v := m.latest)
        else (m.name, None, None, None, when(m.created))
        for m in page.data
    ]
    answer(page, lambda: table(["newest version", "kind", "base", "size", "created"], shown))


@command.command("show")
@click.argument("model")
def show(model: str) -> None:
    """The versions of MODEL, or only `name:2`, with their lineage."""
    from tunery.core.errors import Problem
    from tunery.sdk.client import Client

    name, _, number = model.partition(":")
    with Client() as client:
        versions = [one for one in client.models.versions(name) if number in ("", str(one.version))]
    if not versions:
        raise Problem("not_found", noun="version", name=model, list=f"tunery models show {name}")

    def people() -> None:
        for version in versions:
            _show_version(version)

    answer(versions, people)


@command.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Its name; the folder's name by default.")
@click.option("--licence", help="Its licence, as SPDX identifier or words.")
def add(path: Path, name: str | None, licence: str | None) -> None:
    """Register the folder PATH, on the server's machine, as a base model."""
    from tunery.sdk.client import Client

    with Client() as client:
        entry = client.base_models.add(str(path.resolve()), name=name, licence=licence)
    answer(entry, lambda: say(f"{entry.name} ({entry.architecture}) can be fine-tuned now."))


@command.command("publish")
@click.argument("run")
@click.option("--name", help="The model's name; the run's name by default.")
@click.option("--step", type=click.IntRange(1), help="A checkpoint's step; the final model by default.")
def publish(run: str, name: str | None, step: int | None) -> None:
    """Publish the model that RUN trained."""
    from tunery.sdk.client import Client

    with Client() as client:
        task = client.models.publish(run, name=name, step=step)
        model = client.runs.get(run).model
    answer({"task": task, "model": model}, lambda: say(f"Published as {model or name}."))


def _show_version(version: "ModelVersion") -> None:
    kind = "adapter on" if version.kind == "adapter" else "full weights from"
    made = f"{kind} {version.base_model}, {size(version.bytes)}, {when(version.created)}"
    say(f"{version.model}:{version.version}  {made}")
    say(f"    trained on {', '.join(version.dataset_versions)}")
    if version.continued_from:
        say(f"    goes on from {' → '.join(version.continued_from)}")
    say(f"    from run {version.run}, step {version.step:,}")
    say(f"    licence {version.licence or 'not stated'}, content {version.content_hash[:16]}")
    scores = version.scores or {}
    for name, tuned in scores.get("tuned", {}).items():
        base = scores.get("base", {}).get(name)
        before = f"{number(base['mean'])} → " if base else ""
        say(f"    {name} {before}{number(tuned['mean'])} on {tuned['rows']:,} held-out rows")
