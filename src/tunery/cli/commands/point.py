"""The extension point of commands."""

from importlib.metadata import entry_points
from typing import Protocol

import click

from tunery.core.extensions import Point

GROUP = "tunery.cli.commands"


class CommandModule(Protocol):
    """What a module in this folder offers. Its docstring's first line stands in `tunery --help`."""

    API_VERSION: int

    @property
    def command(self) -> click.Command:
        """The command; it is named as the module."""
        ...


class CommandPoint(Point[CommandModule]):
    """Commands can be listed with a line of help each without being loaded."""

    def module_of(self, name: str) -> str:
        """The module that offers a command."""
        for point in entry_points(group=self.package, name=name):
            return point.module
        return f"{self.package}.{name}"


COMMANDS = CommandPoint(GROUP, "command", api_version=1)
