"""`tunery data clean` and `tunery data steps`: a dataset's next version by steps, and which steps there are."""

import re
from pathlib import Path
from typing import Any

import click
import yaml

from tunery.cli.output import Command, answer, clean, note, say, table

_SHOWN = 3
_EXCERPT = 100


class _Step(click.ParamType):
    """STEP or STEP:NAME=VALUE,…"""

    name = "step"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        step, _, rest = str(value).partition(":")
        try:
            return {step: dict(_setting(step, part) for part in _parts(rest))}
        except ValueError as error:
            self.fail(f"{value!r} isn't STEP or STEP:NAME=VALUE,NAME=VALUE ({error})", param, ctx)


def _parts(text: str) -> list[str]:
    """Settings apart; commas inside brackets belong to a list."""
    return [part for part in re.split(r",(?![^\[]*\])(?=\s*\w+=)", text) if part]


def _setting(step: str, text: str) -> tuple[str, Any]:
    from tunery.data.cleaning.point import STEPS

    name, sign, value = text.partition("=")
    name = name.strip()
    if not sign:
        raise ValueError(f"{text!r} has no =")
    known = STEPS.load(step).Settings.model_fields if step in STEPS.names() else {}
    if name in known and known[name].annotation is str:
        return name, value
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        return name, value


@click.command("clean", cls=Command)
@click.argument("name")
@click.option(
    "--step",
    "steps",
    type=_Step(),
    multiple=True,
    help="A step, optionally with settings: exact_duplicates, length:min_answer=10, language:keep=[en,de]. In order.",
)
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="A YAML file with the steps, before those given here."
)
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
@click.option("--as", "target", help="The dataset that gets the new version; the same one by default.")
@click.option("--publish", is_flag=True, help="Publish right away instead of leaving a draft.")
def clean_(
    name: str,
    steps: tuple[Any, ...],
    recipe: Path | None,
    number: int | None,
    target: str | None,
    publish: bool,
) -> None:
    """Make a new version of the dataset NAME with cleaning steps, and report what each did."""
    from tunery.sdk.client import Client

    wanted = [*(_read(recipe) if recipe else []), *steps]
    if not wanted:
        raise click.UsageError("Give the steps with --step or --recipe; `tunery data steps` lists the steps.")
    with Client() as client:
        made = client.datasets.clean(name, wanted, version=number, name=target, publish=publish)
        version = client.datasets.wait(made.name)
    report = version.cleaning
    assert report is not None

    def people() -> None:
        table(
            ["step", "rows before", "removed", "changed", "rows after"],
            [(s.step, s.rows_before, s.removed, s.changed, s.rows_after) for s in report.steps],
        )
        for step in report.steps:
            for why, count in step.reasons.items():
                say(f"{step.step}: {count:,} × {why}")
                for sample in [one for one in step.samples if one.why == why][:_SHOWN]:
                    after = "" if sample.after is None else f" → {clean(sample.after)[:_EXCERPT]}"
                    note(f"  row {sample.row + 1}: {clean(sample.before)[:_EXCERPT]}{after}")
        say(
            f"{version.dataset}@{version.version} is {version.state}: {report.rows_after:,} of "
            f"{report.rows_before:,} rows of {report.source}."
        )
        if version.state == "draft":
            say(f"Publish it with `tunery data publish {version.dataset} --version {version.version}`.")

    answer(version, people)


@click.command("publish", cls=Command)
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
def publish(name: str, number: int | None) -> None:
    """Make a draft immutable, so that runs may train on it."""
    from tunery.sdk.client import Client

    with Client() as client:
        if number is None:
            number = client.datasets.versions(name)[0].version
        version = client.datasets.publish(name, number)
    answer(version, lambda: say(f"{version.dataset}@{version.version} is {version.state}."))


@click.command("steps", cls=Command)
def steps() -> None:
    """The cleaning steps and their settings."""
    from tunery.services.extensions import cleaning_steps

    found = cleaning_steps()

    def people() -> None:
        for one in found:
            say(f"{one.name}: {one.help}")
            settings: dict[str, Any] = (one.json_schema or {}).get("properties", {})
            rows = [
                (name, about.get("default"), about.get("description")) for name, about in settings.items()
            ]
            table(["setting", "default", "meaning"], rows)

    answer(found, people)


def _read(recipe: Path) -> list[Any]:
    """The steps of a YAML file: a list, or the field `steps`."""
    from tunery.core.errors import Problem, Where

    try:
        value = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Problem("file_missing", path=str(recipe), base=str(Path.cwd())) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Problem("file_unreadable", path=str(recipe), detail=str(error).splitlines()[0]) from error
    listed = value.get("steps") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        detail = f"{recipe} holds no list of steps."
        raise Problem("spec_invalid", where=Where(file=str(recipe)), detail=detail)
    return listed


CLEANING = (clean_, publish, steps)
"""Commands of the group `data`."""
