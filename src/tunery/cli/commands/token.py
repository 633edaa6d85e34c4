"""Create, list and revoke access tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunery.cli.output import Group, answer, say, table, when

if TYPE_CHECKING:
    from tunery.schemas.project import NewToken

API_VERSION = 1


@click.group(cls=Group)
def command() -> None:
    """Create, list and revoke access tokens."""


@command.command("new")
@click.argument("name")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Create it directly in this data folder; no token is needed.",
)
def new(name: str, data: Path | None) -> None:
    """Create a token called NAME; it is shown only once.

    If you lost every token, create one with --data on the server's machine.
    """
    from tunery.sdk.client import Client

    if data is None:
        with Client() as client:
            made = client.tokens.create(name)
    else:
        made = _made_in(data, name)

    def people() -> None:
        say(made.token)
        say("It won't be shown again.")

    answer(made, people)


@command.command("list")
def list_() -> None:
    """Tokens, without their secrets."""
    from tunery.sdk.client import Client

    with Client() as client:
        tokens = client.tokens.list()
    rows = [(t.id, t.name, t.hint, when(t.created), "revoked" if t.revoked else "") for t in tokens]
    answer(tokens, lambda: table(["id", "name", "begins with", "created", ""], rows))


@command.command("revoke")
@click.argument("id")
def revoke(id: str) -> None:
    """Revoke the token with this id."""
    from tunery.sdk.client import Client

    with Client() as client:
        client.tokens.revoke(id)
    answer({"id": id, "revoked": True}, lambda: say(f"{id} is revoked."))


def _made_in(data: Path, name: str) -> "NewToken":
    """A token written straight into the database of a data folder, by someone who may write there."""
    from tunery.core.errors import Problem
    from tunery.core.settings import ServerSettings
    from tunery.db.engine import open_database, writing
    from tunery.schemas.project import NewToken
    from tunery.services.tokens import create_for, first_start

    settings = ServerSettings(data=data)
    if not settings.database_url and not (settings.folder / "tunery.db").is_file():
        raise Problem("data_folder_unusable", path=str(data), detail="no server has been started with it yet")
    engine = open_database(settings)
    try:
        with writing(engine) as connection:
            project, _ = first_start(connection)
            id, secret = create_for(connection, project, name)
    finally:
        engine.dispose()
    return NewToken(id=id, name=name, token=secret)
