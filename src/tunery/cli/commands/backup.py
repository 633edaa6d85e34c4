"""Write everything a server keeps into one file."""

from pathlib import Path

import click

from tunery.cli.output import Command, answer, say, size

API_VERSION = 1


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="The data folder. [default: TUNERY_DATA or ~/.tunery]"
)
def command(file: Path, data: Path | None) -> None:
    """Write everything a server keeps into FILE: database, datasets, runs, models, keys. The server can keep running.

    FILE contains the keys to everything stored encrypted: protect it like a password.
    """
    from tunery.cli.reports import byte_progress
    from tunery.core.settings import ServerSettings
    from tunery.server.backup import write_backup

    settings = ServerSettings(**({} if data is None else {"data": data}))
    with byte_progress("Writing") as progress:
        written = write_backup(settings, file.absolute(), progress)
    answer(
        {"file": str(file.absolute()), "bytes": written},
        lambda: say(f"{file} is complete: {size(written)}."),
    )
