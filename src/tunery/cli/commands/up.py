"""Start the server: API, console, worker and model serving in one."""

from pathlib import Path
from typing import Any

import click

from tunery.cli.output import Command, print_json, say, wants_json

API_VERSION = 1


@click.command(cls=Command)
@click.option(
    "--data", type=click.Path(path_type=Path), help="The data folder. [default: TUNERY_DATA or ~/.tunery]"
)
@click.option("--host", help="The address to listen on. [default: TUNERY_HOST or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port. [default: TUNERY_PORT or 8420]")
def command(data: Path | None, host: str | None, port: int | None) -> None:
    """Start the server: API, console, worker and model serving in one. Ctrl-C ends it."""
    from tunery.core.errors import Problem
    from tunery.core.settings import ServerSettings

    try:
        from tunery.server.up import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tunery"):
            raise
        raise Problem("missing_extra", package=error.name, extra="server") from error
    given = {"data": data, "host": host, "port": port}
    serve(ServerSettings(**{name: value for name, value in given.items() if value is not None}), _announce)


def _announce(up: Any) -> None:
    """Say where the server is, and at its first start the token; keep both for this user's client."""
    from tunery.sdk.config import ClientConfig, read_configs, save_config

    folder = str(up.folder.path)
    token = up.first_token or next((one.token for one in read_configs() if one.folder == folder), None)
    kept = save_config(ClientConfig(up.url, token, folder)) if token else None
    if wants_json():
        print_json({"url": up.url, "folder": folder, "token": up.first_token})
        return
    say(f"Tunery answers at {up.url}")
    say(f"Data: {folder}")
    if up.first_token:
        say(f"Token: {up.first_token}")
        say(f"It is shown only once; {kept} stores it for the `tunery` command and the Python client.")
    say("Ctrl-C stops the server; runs continue at the next start.")
