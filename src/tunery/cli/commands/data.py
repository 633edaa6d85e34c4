"""Check files, import them as datasets, and inspect datasets."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunery.cli.cleaning import CLEANING
from tunery.cli.data_insight import INSIGHT
from tunery.cli.output import Group, answer, note, say, show_problem, size, table, wants_json, when
from tunery.cli.preset_data import PRESETS
from tunery.cli.rows_in_words import show_row

if TYPE_CHECKING:
    from tunery.schemas.file_options import FileOptions

API_VERSION = 1


class _Pairs(click.ParamType):
    """FIELD=COLUMN."""

    name = "name=name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        left, sign, right = str(value).partition("=")
        if not (left and sign and right):
            self.fail(f"{value!r} isn't NAME=NAME, as in instruction=question", param, ctx)
        return left, right


def _file_options(command: Callable[..., None]) -> Callable[..., None]:
    """What may be said of a file, wherever one is read."""
    for option in (
        click.option(
            "--salvage", is_flag=True, help="Keep the complete rows of a JSON list that is cut off."
        ),
        click.option("--only-named", is_flag=True, help="Read only the columns given with --column."),
        click.option(
            "--turn",
            "turns",
            type=_Pairs(),
            multiple=True,
            help="How the file names its turns: role=KEY, content=KEY, user=NAME, assistant=NAME …",
        ),
        click.option(
            "--column",
            "columns",
            type=_Pairs(),
            multiple=True,
            help="Map a field of the format to a column of the file, as in instruction=question. Repeatable.",
        ),
        click.option("--format", help="The file's format; detected from its content by default."),
    ):
        command = option(command)
    return command


def _said(format: str | None, columns: Any, turns: Any, only_named: bool, salvage: bool) -> "FileOptions":
    from pydantic import ValidationError

    from tunery.schemas.file_options import FileOptions

    try:
        return FileOptions(
            format=format,
            columns=dict(columns),
            turns=dict(turns),
            only_named=only_named,
            salvage=salvage,
        )
    except ValidationError as error:
        names = "role, content, user, assistant, system, tool, call"
        raise click.BadParameter(f"write one of {names} before the =", param_hint="--turn") from error


@click.group(cls=Group)
def command() -> None:
    """Check files, import them as datasets, and inspect datasets."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@_file_options
@click.option(
    "--quarantine", type=click.Path(path_type=Path), help="Write the bad rows and the reasons to this file."
)
def check(
    file: Path,
    format: str | None,
    columns: Any,
    turns: Any,
    only_named: bool,
    salvage: bool,
    quarantine: Path | None,
) -> None:
    """Read every row of FILE and report problems. No server is needed.

    Exit code: 0 every row can be used, 1 some can't, 2 the file can't be read as rows.
    """
    from tunery.cli.reports import SHOWN, check_with_progress, show_report
    from tunery.core.errors import Problem

    context = click.get_current_context()
    try:
        report = check_with_progress(file, _said(format, columns, turns, only_named, salvage), quarantine)
    except Problem as problem:
        show_problem(problem, as_json=wants_json())
        context.exit(2)
    answer(report, lambda: show_report(report, shown=SHOWN))
    context.exit(1 if report.rows_rejected else 0)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The dataset's name; an existing dataset gets a new version.")
@_file_options
@click.option("--as-before", is_flag=True, help="Use the format, columns and turns of the newest version.")
@click.option("--accept-bad-rows", is_flag=True, help="Import the usable rows even if some rows are bad.")
@click.option("--draft", is_flag=True, help="Leave the version a draft; drafts can't be used for training.")
@click.option("--member", help="Read only this file of a ZIP.")
@click.option("--checksum", is_flag=True, help="Have the server verify the file's SHA-256.")
def import_(
    file: Path,
    name: str,
    format: str | None,
    columns: Any,
    turns: Any,
    only_named: bool,
    salvage: bool,
    as_before: bool,
    accept_bad_rows: bool,
    draft: bool,
    member: str | None,
    checksum: bool,
) -> None:
    """Upload FILE, import it as a dataset, and wait until that is done.

    Interrupted, it goes on where it was when you call it again.
    """
    from tunery.cli.reports import byte_progress, tell_end
    from tunery.sdk.client import Client

    said = _said(format, columns, turns, only_named, salvage)
    with Client() as client:
        with byte_progress("sending") as progress:
            made = client.datasets.create(
                file,
                name=name,
                **said.model_dump(exclude={"member"}),
                member=member,
                as_before=as_before,
                accept_bad_rows=accept_bad_rows,
                publish=not draft,
                checksum=checksum,
                progress=progress,
            )
        tell_end(client.datasets.wait(made.name))


@command.command("import-llamafactory")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--only", multiple=True, help="Only this entry. Repeatable.")
@click.option("--accept-bad-rows", is_flag=True, help="Import the usable rows even if some rows are bad.")
@click.option("--draft", is_flag=True, help="Leave the version a draft; drafts can't be used for training.")
def import_llamafactory(folder: Path, only: tuple[str, ...], accept_bad_rows: bool, draft: bool) -> None:
    """Import the entries of a LLaMA-Factory dataset_info.json: FOLDER holds it and its files, or is a ZIP that does.

    Exit code: 0 every entry is imported, 1 an import failed or an entry had to be skipped.
    """
    from tunery.cli.llamafactory import import_registry, show

    found = import_registry(folder, only, accept_bad_rows=accept_bad_rows, publish=not draft)
    answer(found, lambda: show(found))
    click.get_current_context().exit(0 if found.whole else 1)


@command.command("accept")
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
def accept(name: str, number: int | None) -> None:
    """Import again without the rejected rows, from the file already uploaded."""
    from tunery.cli.reports import tell_end
    from tunery.sdk.client import Client

    with Client() as client:
        client.datasets.accept(name, number)
        tell_end(client.datasets.wait(name))


@command.command("fix")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
@click.option("--accept-bad-rows", is_flag=True, help="Leave out the rows that are still bad.")
def fix(name: str, file: Path, number: int | None, accept_bad_rows: bool) -> None:
    """Import again with FILE, a quarantine file in which you fixed rows."""
    from tunery.cli.reports import tell_end
    from tunery.sdk.client import Client

    with Client() as client:
        client.datasets.fix(name, file, number, accept_bad_rows=accept_bad_rows or None)
        tell_end(client.datasets.wait(name))


@command.command("reimport")
@click.argument("name")
@_file_options
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
@click.option("--accept-bad-rows", is_flag=True, help="Import the usable rows even if some rows are bad.")
def reimport(
    name: str,
    format: str | None,
    columns: Any,
    turns: Any,
    only_named: bool,
    salvage: bool,
    number: int | None,
    accept_bad_rows: bool,
) -> None:
    """Read the file of an import again, as another format or with other columns. What isn't named stays as it was."""
    from tunery.cli.reports import tell_end
    from tunery.sdk.client import Client

    said = _said(format, columns, turns, only_named, salvage)
    with Client() as client:
        client.datasets.import_again(
            name,
            number,
            format=said.format,
            columns=said.columns or None,
            turns=said.turns or None,
            only_named=said.only_named or None,
            salvage=said.salvage or None,
            accept_bad_rows=accept_bad_rows or None,
        )
        tell_end(client.datasets.wait(name))


@command.command("quarantine")
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Where to write the bad rows, as JSON lines.",
)
def quarantine(name: str, number: int | None, out: Path) -> None:
    """The rows that can't be used, each with the reason; fix their `text` and pass them to `data fix`."""
    from tunery.sdk.client import Client

    with Client() as client:
        shown = number or client.datasets.versions(name)[0].version
        content = client.datasets.quarantine(name, shown)
    out.write_bytes(content)
    count = content.count(b"\n")
    answer({"path": str(out), "rows": count}, lambda: say(f"{count:,} rows in {out}"))


@command.command("image")
@click.argument("name")
@click.argument("digest")
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write the image.")
def image(name: str, digest: str, number: int | None, out: Path) -> None:
    """Save an image of the dataset; `data show` prints its DIGEST."""
    from tunery.sdk.client import Client

    with Client() as client:
        shown = number or client.datasets.versions(name)[0].version
        content = client.datasets.image(name, shown, digest)
    out.write_bytes(content)
    answer({"path": str(out), "bytes": len(content)}, lambda: say(f"{size(len(content))} in {out}"))


@command.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="The most items to list."
)
@click.option("--after", help="Continue after this id.")
def list_(limit: int, after: str | None) -> None:
    """Datasets, newest first."""
    from tunery.sdk.client import Client

    with Client() as client:
        page = client.datasets.list(limit, after)

    def people() -> None:
        rows = [
            (f"{d.name}@{v.version}", d.format, v.state, v.rows, size(v.bytes), when(d.created))
            if (v := d.latest)
            else (d.name, d.format, None, None, None, when(d.created))
            for d in page.data
        ]
        table(["newest version", "format", "state", "rows", "size", "created"], rows)
        if page.has_more:
            note(f"More: tunery data list --after {page.data[-1].id}")

    answer(page, people)


@command.command("show")
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(1), help="The version; the newest by default.")
@click.option(
    "--rows", "count", type=click.IntRange(0, 100), default=3, show_default=True, help="Rows to show."
)
@click.option("--offset", type=click.IntRange(0), default=0, help="The first row to show.")
def show(name: str, number: int | None, count: int, offset: int) -> None:
    """The dataset NAME, or its version `NAME@2`: all versions, and some rows in canonical form."""
    from tunery.sdk.client import Client

    name, _, at = name.partition("@")
    number = number or (int(at) if at.isdecimal() else None)
    with Client() as client:
        versions = client.datasets.versions(name)
        chosen = number or next((v.version for v in versions if v.state in ("published", "draft")), None)
        page = client.datasets.rows(name, chosen, offset, count) if chosen and count else None

    def people() -> None:
        columns = ["version", "state", "rows", "characters", "size", "created"]
        table(
            columns,
            [
                (f"{v.dataset}@{v.version}", v.state, v.rows, v.characters, size(v.bytes), when(v.created))
                for v in versions
            ],
        )
        for index, row in enumerate(page.rows if page else [], start=offset + 1):
            say("")
            show_row(index, row)

    answer({"versions": versions, "rows": page}, people)


for each in (*PRESETS, *INSIGHT, *CLEANING):
    command.add_command(each)
