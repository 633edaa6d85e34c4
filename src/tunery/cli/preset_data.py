"""`tunery data presets` and `tunery data import-preset`: ready-made datasets, and one of them in the project."""

import click

from tunery.cli.output import Command, answer, say, table


@click.command("presets", cls=Command)
def presets() -> None:
    """List the ready-made datasets that ship with Tunery or that an administrator offers."""
    from tunery.sdk.client import Client

    with Client() as client:
        found = client.datasets.presets()

    def people() -> None:
        table(["name", "licence", "description"], [(one.name, one.licence, one.description) for one in found])
        say("Import one with `tunery data import-preset NAME`.")

    answer(found, people)


@click.command("import-preset", cls=Command)
@click.argument("preset")
@click.option("--name", help="The dataset's name; the preset's own by default.")
@click.option("--accept-bad-rows", is_flag=True, help="Import the usable rows even if some rows are bad.")
@click.option("--draft", is_flag=True, help="Leave the version a draft; drafts can't be used for training.")
def import_preset(preset: str, name: str | None, accept_bad_rows: bool, draft: bool) -> None:
    """Import the ready-made dataset PRESET, and wait until that is done."""
    from tunery.cli.reports import tell_end
    from tunery.sdk.client import Client

    with Client() as client:
        made = client.datasets.import_preset(
            preset, name=name, accept_bad_rows=accept_bad_rows, publish=not draft
        )
        tell_end(client.datasets.wait(made.name))


PRESETS = (presets, import_preset)
