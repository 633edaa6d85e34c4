"""`tunery runs trim`: what is kept of finished runs, and the removal of what isn't."""

from typing import TYPE_CHECKING

import click

from tunery.cli.output import Command, answer, note, say, size, table

if TYPE_CHECKING:
    from tunery.schemas.retention import Retention


@click.command("trim", cls=Command)
@click.option("--dry-run", is_flag=True, help="Only show the rules, and what they would remove now.")
def trim(dry_run: bool) -> None:
    """Remove checkpoints, logs and events of finished runs, by the server's rules. It does so itself once a day."""
    from tunery.sdk.client import Client

    with Client() as client:
        rules = client.runs.retention()
        if dry_run:
            answer(rules, lambda: _show(rules))
            return
        done = client.runs.trim()
    removed = done.result or {}

    def people() -> None:
        for part, one in removed.items():
            say(f"{part}: {one['count']:,} removed, {size(one['bytes'])} freed")

    answer(done, people)


def _show(found: "Retention") -> None:
    rows = [
        (
            one.part,
            f"{one.days:g} days" if one.days else "for ever" if one.setting else "an hour",
            f"{one.count:,}",
            size(one.bytes),
            one.setting or "",
        )
        for one in found.rules
    ]
    table(["of finished runs", "kept for", "would go now", "frees", "setting"], rows)
    for one in found.rules:
        note(f"{one.part}: kept whatever the days: {one.keeps[0].lower()}{one.keeps[1:]}.")
