"""Make a server's data from a backup."""

from pathlib import Path

import click
import msgspec

from tunery.cli.output import Command, answer, say, when

API_VERSION = 1


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="An empty data folder. [default: TUNERY_DATA or ~/.tunery]",
)
def command(file: Path, data: Path | None) -> None:
    """Restore a backup FILE into an empty data folder; then start it with `tunery up`.

    With TUNERY_DATABASE_URL the rows go to that database, whichever kind they came from.
    """
    from tunery.cli.reports import byte_progress
    from tunery.core.settings import ServerSettings
    from tunery.server.backup import restore_backup

    settings = ServerSettings(**({} if data is None else {"data": data}))
    with byte_progress("Restoring") as progress:
        about = restore_backup(file.absolute(), settings, progress)
    told = {"folder": str(settings.folder), **msgspec.to_builtins(about)}
    answer(
        told,
        lambda: say(
            f"{settings.folder} is restored to its state of {when(about.created)}. Start it with `tunery up`."
        ),
    )
