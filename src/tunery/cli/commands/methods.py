"""Training methods and their settings."""

from typing import Any

import click

from tunery.cli.output import Group, answer, say, table

API_VERSION = 1


@click.group(cls=Group)
def command() -> None:
    """Training methods and their settings."""


@command.command("list")
def list_() -> None:
    """Every method, built-in and installed."""
    from tunery.services.extensions import methods

    found = methods()
    rows = [(m.name, m.title, ", ".join(m.takes)) for m in found]
    answer(found, lambda: table(["name", "what", "formats it takes"], rows))


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """The settings of a method: default, recommended value, range, meaning."""
    from tunery.methods.point import METHODS
    from tunery.services.extensions import methods

    METHODS.load(name)
    found = next(one for one in methods() if one.name == name)

    def people() -> None:
        say(f"{found.title}. {found.help}")
        settings: dict[str, Any] = (found.json_schema or {})["properties"]
        rows = [
            (
                setting,
                about.get("default"),
                *(values.get(setting) for values in found.recommended.values()),
                " … ".join(f"{bound:g}" for bound in about.get("range", ())),
                about.get("description"),
            )
            for setting, about in settings.items()
        ]
        table(
            ["setting", "default", *(f"for {kind}" for kind in found.recommended), "range", "meaning"], rows
        )

    answer(found, people)
