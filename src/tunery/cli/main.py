"""`tunery`: finds the commands in the folder `commands` and in other packages; loads only the one asked for.

Exit codes: 0 done, 1 a problem (said in one sentence, with what to do), 2 wrong usage, 130 interrupted.
"""

import ast
import errno
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from tunery import __version__
from tunery.cli.commands.point import COMMANDS
from tunery.cli.output import Group, print_json, show_problem, wants_json
from tunery.core.errors import Problem
from tunery.core.files import is_disk_full


class Root(Group):
    """The outermost group: its commands are extensions."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return COMMANDS.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return COMMANDS.load(cmd_name).command if cmd_name in COMMANDS.names() else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names with the first line of each module's docstring, read without importing anything."""
        lines = [(name, _first_line(COMMANDS.module_of(name))) for name in COMMANDS.names()]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Problem as problem:
            return _end(ctx, problem)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            return ctx.exit(130)
        except OSError as error:
            if error.errno == errno.EPIPE or (error.filename is None and not is_disk_full(error)):
                raise
            return _end(ctx, _problem_of(error))
        except click.UsageError as error:
            if wants_json():  # beside the usage, which click prints for people
                print_json({"error": Problem("invalid_request", detail=error.format_message()).as_dict()})
            raise


def _first_line(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return ""
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) or ""
    return text.partition("\n")[0]


def _problem_of(error: OSError) -> Problem:
    if is_disk_full(error):
        return Problem("disk_full", path=str(error.filename or "what was being written"))
    return Problem("file_unreadable", path=str(error.filename), detail=str(error.strerror))


def _end(ctx: click.Context, problem: Problem) -> None:
    show_problem(problem, as_json=wants_json())
    ctx.exit(1)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tunery")
def cli() -> None:
    """Fine-tune, evaluate, publish and serve models on your own machines."""


def main() -> None:
    """The console script."""
    cli(prog_name="tunery")
