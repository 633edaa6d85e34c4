"""Check files, bring them to the server as datasets, look at what is there."""

from pathlib import Path
from typing import Any

import click

from tunery.cli.output import Group, answer, clean, note, say, show_problem, size, table, wants_json, when

API_VERSION = 1
_SHOWN = 10


@click.group(cls=Group)
def command() -> None:
    """Check files, bring them to the server as datasets, look at what is there."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", help="The file's format; recognised by content otherwise.")
@click.option(
    "--quarantine", type=click.Path(path_type=Path), help="Write the bad rows with their reasons here."
)
@click.option("--salvage", is_flag=True, help="Take the whole rows of a JSON list that is cut off.")
def check(file: Path, format: str | None, quarantine: Path | None, salvage: bool) -> None:
    """Read every row of FILE and say what is wrong. No server is needed.

    Exit code: 0 every row can be used, 1 some can't, 2 the file can't be read as rows.
    """
    from tunery.cli.reports import check_with_progress, show_report
    from tunery.core.errors import Problem

    context = click.get_current_context()
    try:
        report = check_with_progress(file, format, quarantine, salvage=salvage)
    except Problem as problem:
        show_problem(problem, as_json=wants_json())
        context.exit(2)
    answer(report, lambda: show_report(report, shown=_SHOWN))
    context.exit(1 if report.rows_rejected else 0)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The dataset's name; a known one gets its next version.")
@click.option("--format", help="The file's format; recognised by content otherwise.")
@click.option("--accept-bad-rows", is_flag=True, help="Keep the usable rows even if others are not.")
@click.option("--draft", is_flag=True, help="Don't publish yet; drafts don't train.")
def import_(file: Path, name: str, format: str | None, accept_bad_rows: bool, draft: bool) -> None:
    """Send FILE to the server to become a dataset, and wait until it is one."""
    from tunery.cli.reports import byte_progress, show_report
    from tunery.sdk.client import Client

    with Client() as client:
        with byte_progress("sending") as progress:
            made = client.datasets.create(
                file,
                name=name,
                format=format,
                accept_bad_rows=accept_bad_rows,
                publish=not draft,
                progress=progress,
            )
        version = client.datasets.wait(made.name)

    def people() -> None:
        if version.report is not None:
            show_report(version.report, shown=_SHOWN)
        say(f"{version.dataset}@{version.version} is {version.state}: {version.rows:,} rows.")

    answer(version, people)


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="At most so many.")
@click.option("--after", help="Go on after this id.")
def list_(limit: int, after: str | None) -> None:
    """Datasets, newest first."""
    from tunery.sdk.client import Client

    with Client() as client:
        page = client.datasets.list(limit, after)

    def people() -> None:
        rows = [
            (d.name, d.format, v.version, v.state, v.rows, size(v.bytes), when(d.created))
            if (v := d.latest)
            else (d.name, d.format, None, None, None, None, when(d.created))
            for d in page.data
        ]
        table(["name", "format", "version", "state", "rows", "size", "created"], rows)
        if page.has_more:
            note(f"More: tunery data list --after {page.data[-1].id}")

    answer(page, people)


@command.command("show")
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(1), help="Which version; the newest otherwise.")
@click.option(
    "--rows", "count", type=click.IntRange(0, 100), default=3, show_default=True, help="Rows to show."
)
@click.option("--offset", type=click.IntRange(0), default=0, help="The first row to show.")
def show(name: str, number: int | None, count: int, offset: int) -> None:
    """A dataset: its versions, and some rows as the training sees them."""
    from tunery.sdk.client import Client

    with Client() as client:
        versions = client.datasets.versions(name)
        chosen = number or next((v.version for v in versions if v.state in ("published", "draft")), None)
        page = client.datasets.rows(name, chosen, offset, count) if chosen and count else None

    def people() -> None:
        columns = ["version", "state", "rows", "characters", "size", "created"]
        table(
            columns,
            [(v.version, v.state, v.rows, v.characters, size(v.bytes), when(v.created)) for v in versions],
        )
        for index, row in enumerate(page.rows if page else [], start=offset + 1):
            say("")
            _show_row(index, row)

    answer({"versions": versions, "rows": page}, people)


def _show_row(index: int, row: dict[str, Any]) -> None:
    if row.get("kind") == "text":
        say(f"{index}  {row['text']}")
        return
    for message in row.get("messages", []):
        say(f"{index}  {message['role']}: {_text(message)}")
    for place, found in enumerate(row.get("answers", []), start=1):
        say(f"{index}  answer {place}: {_text(found)}")
    if "label" in row:
        say(f"{index}  the answer is {'wanted' if row['label'] else 'not wanted'}")


def _text(message: dict[str, Any]) -> str:
    return clean("".join(part.get("text", "") for part in message["content"]))
