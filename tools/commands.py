"""The page about the command line: the help of every command, as the command prints it."""

import inspect
from collections.abc import Iterator

import click

from tools import markdown
from tunery.cli.main import cli

_WIDTH = 100


def page() -> str:
    """The whole page."""
    root = _context(cli, "tunery", None)
    return markdown.page(
        "Command line",
        "Every command with its help, as `--help` prints it.",
        "Exit codes: 0 done, 1 a problem (said in a sentence, with what to do), 2 wrong usage, 130 interrupted. With "
        '`--json` a command prints one JSON document on standard output; a problem is `{"error": {…}}`.',
        *(_section(context) for context in _walk(root)),
    )


def _section(context: click.Context) -> str:
    return markdown.section(
        f"`{context.command_path}`", f"```text\n{inspect.cleandoc(context.get_help())}\n```"
    )


def _walk(context: click.Context) -> Iterator[click.Context]:
    yield context
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from _walk(_context(command, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    width = {"terminal_width": _WIDTH, "max_content_width": _WIDTH}
    return click.Context(command, parent=parent, info_name=name, **{**command.context_settings, **width})
