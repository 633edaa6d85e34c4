"""A run that is about to be: started on the server, or only shown with everything that it would be."""

from typing import TYPE_CHECKING

from tunery.cli.output import answer, say, table
from tunery.cli.runs_in_words import clone, outlook, run_name, waits

if TYPE_CHECKING:  # a command's help comes without loading schemas
    from tunery.schemas.run import ResolvedSpec, RunSpec
    from tunery.sdk.client import Client

_ORIGINS = {
    "user": "you",
    "recommended": "recommended",
    "template": "template",
    "default": "default",
    "continued": "earlier run",
}


def start(client: "Client", wanted: "RunSpec", *, follow: bool, dry_run: bool) -> None:
    """Start it and say how it stands; with `follow` until it ends. `dry_run`: show the plan, start nothing."""
    from tunery.cli.follow import follow_run

    if dry_run:
        resolved = client.runs.resolve(wanted)
        answer(resolved, lambda: _show_plan(resolved))
        return
    run = client.runs.create(wanted)
    if follow:
        follow_run(client, run.id)
    else:
        answer(run, lambda: say(f"{run_name(run)} is {run.state} ({run.id}). {waits(run)}".strip()))


def show_settings(resolved: "ResolvedSpec") -> None:
    """Every setting with its value and where that comes from, and what there is to note."""
    from tunery.schemas.words import shown

    settings = resolved.spec.settings
    table(
        ["setting", "value", "from"],
        [(name, shown(settings.get(name)), _ORIGINS[origin]) for name, origin in resolved.origins.items()],
    )
    for line in (*resolved.notes, *(one.message for one in resolved.leaks if one.message)):
        say(f"Note: {line}")


def _show_plan(resolved: "ResolvedSpec") -> None:
    for line in (*outlook(resolved), *clone(resolved)):
        say(line)
    show_settings(resolved)
