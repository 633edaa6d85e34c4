"""Train on this machine without a server, or hand the run to one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from tunery.cli.output import Command, answer, note, number, say, wants_json

API_VERSION = 1


@click.command(cls=Command)
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder; tunery-runs/NAME by default.")
@click.option("--resume", type=click.Path(path_type=Path), help="Resume the run in this folder.")
@click.option("--steps", type=click.IntRange(1), help="Stop after this many steps (the setting max_steps).")
@click.option("--seed", type=click.IntRange(0), help="Random seed (the setting seed).")
@click.option(
    "--threads", type=click.IntRange(1), help="CPU threads; 1 makes training bit-for-bit reproducible."
)
@click.option("--accept-bad-rows", is_flag=True, help="Train on the usable rows even if some rows are bad.")
@click.option("--dry-run", is_flag=True, help="Only show what the training data adds up to; train nothing.")
@click.option("--estimate", is_flag=True, help="Only measure the time and memory it needs; train nothing.")
@click.option("--server", is_flag=True, help="Submit to the server and follow the run there.")
def command(
    spec: Path | None,
    out: Path | None,
    resume: Path | None,
    steps: int | None,
    seed: int | None,
    threads: int | None,
    accept_bad_rows: bool,
    dry_run: bool,
    estimate: bool,
    server: bool,
) -> None:
    """Train as SPEC, a YAML file, says; relative paths in it start at its folder.

    Without --server everything happens here and lies in one folder afterwards; Ctrl-C saves, and --resume goes on.
    """
    if spec is None and resume is None:
        raise click.UsageError("Give a YAML file, or a folder with --resume.")
    if out is not None and resume is not None:
        raise click.UsageError("--resume continues in the run's own folder; leave out --out.")
    if server:
        if estimate:
            raise click.UsageError("On the server, `tunery runs estimate SPEC` does this.")
        if resume or out or accept_bad_rows:
            raise click.UsageError("--out, --resume and --accept-bad-rows are for training without a server.")
        assert spec is not None
        _on_server(spec, steps, seed, threads, dry_run=dry_run)
        return
    if dry_run:
        if spec is None:
            raise click.UsageError("--dry-run needs a SPEC; it can't be combined with --resume.")
        _preview_here(spec, accept_bad_rows, (steps, seed, threads))
        return
    if estimate:
        if spec is None:
            raise click.UsageError("--estimate needs a SPEC; it can't be combined with --resume.")
        _estimate_here(spec, accept_bad_rows, (steps, seed, threads))
        return
    _here(spec, out, resume, accept_bad_rows, (steps, seed, threads))


def _here(
    file: Path | None,
    out: Path | None,
    resume: Path | None,
    accept_bad_rows: bool,
    changes: tuple[int | None, int | None, int | None],
) -> None:
    from tunery.cli.local_diagnosis import diagnosis_of
    from tunery.cli.local_spec import read_local_spec, without_effect
    from tunery.cli.local_train import begin, go_on
    from tunery.cli.runs_in_words import findings
    from tunery.schemas.run import RunSpec

    if resume is not None and file is None and any(change is not None for change in changes):
        raise click.UsageError("A resumed run keeps its settings; leave out --steps, --seed and --threads.")
    spec = None
    if file is not None:
        read = read_local_spec(file)
        spec = RunSpec.model_validate(_changed(read.model_dump(exclude_unset=True), *changes))
        if idle := without_effect(spec):
            note(
                f"Without a server nothing else waits for the machine, so this has no effect: {', '.join(idle)}."
            )
    if resume is not None:
        ended = go_on(resume.absolute(), spec)
    else:
        assert spec is not None
        ended = begin(spec, None if out is None else out.absolute(), accept_bad_rows=accept_bad_rows)
    seen = diagnosis_of(ended.folder)
    document = {**ended.result, "folder": str(ended.folder.path), "findings": seen.findings}
    answer(document, lambda: _show(document, findings(seen)))
    if ended.interrupted:
        click.get_current_context().exit(130)


def _preview_here(
    file: Path, accept_bad_rows: bool, changes: tuple[int | None, int | None, int | None]
) -> None:
    from tunery.cli.local_preview import preview
    from tunery.cli.local_spec import read_local_spec
    from tunery.cli.recipes import show_preview
    from tunery.schemas.run import RunSpec

    read = read_local_spec(file)
    spec = RunSpec.model_validate(_changed(read.model_dump(exclude_unset=True), *changes))
    found = preview(spec, accept_bad_rows=accept_bad_rows)
    answer(found, lambda: show_preview(found))


def _estimate_here(
    file: Path, accept_bad_rows: bool, changes: tuple[int | None, int | None, int | None]
) -> None:
    from tunery.cli.local_estimate import estimate
    from tunery.cli.local_spec import read_local_spec
    from tunery.cli.runs_in_words import estimated
    from tunery.schemas.run import RunSpec

    read = read_local_spec(file)
    spec = RunSpec.model_validate(_changed(read.model_dump(exclude_unset=True), *changes))
    found = estimate(spec, accept_bad_rows=accept_bad_rows)

    def people() -> None:
        for line in estimated(found):
            say(line)

    answer(found, people)


def _on_server(
    file: Path, steps: int | None, seed: int | None, threads: int | None, *, dry_run: bool
) -> None:
    from tunery.cli.follow import follow_run
    from tunery.cli.recipes import show_preview
    from tunery.cli.runs_in_words import run_name
    from tunery.sdk.client import Client
    from tunery.sdk.spec import read_yaml

    with Client() as client:
        if dry_run:
            found = client.runs.preview(_changed(read_yaml(file), steps, seed, threads))
            answer(found, lambda: show_preview(found))
            return
        run = client.runs.create(_changed(read_yaml(file), steps, seed, threads))
        if not wants_json():
            note(f"{run_name(run)}: {run.id}")
        follow_run(client, run.id)


def _changed(
    fields: dict[str, Any], steps: int | None, seed: int | None, threads: int | None
) -> dict[str, Any]:
    """The spec's fields with what the command line says put over them."""
    said = {"max_steps": steps, "seed": seed}
    settings = {**(fields.get("settings") or {}), **{k: v for k, v in said.items() if v is not None}}
    changed = {**fields, "settings": settings}
    if threads is not None:
        changed["resources"] = {**(fields.get("resources") or {}), "threads": threads}
    return changed


def _show(result: dict[str, Any], findings: Iterable[str]) -> None:
    status, folder = result["status"], result["folder"]
    say(
        f"{status.capitalize()} at step {result['steps']}: loss {number(result['first_loss'])} → "
        f"{number(result['last_loss'])}, {result['tokens']:,} tokens in {result['train_seconds']:.1f} s "
        f"({result['tokens_per_second']:,.0f}/s), {result['peak_rss_mb']:,.0f} MB."
    )
    for name, base in result.get("evaluation", {}).get("base", {}).items():
        tuned = result["evaluation"]["tuned"].get(name)
        say(f"{name}: base {number(base['mean'])}" + (f", tuned {number(tuned['mean'])}" if tuned else ""))
    if result["findings"]:
        for line in findings:
            say(line)
    if result.get("output"):
        say(f"The {result['output_kind'] or 'model'} is in {folder}/{result['output']}")
    if status == "paused":
        say(f"Continue with `tunery train --resume {folder}`.")
