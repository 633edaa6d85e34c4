"""What a command says: one JSON document on standard output with --json, else words and tables for people.

Tables and bars are drawn on a terminal only; piped, the same content comes plain. Texts from outside (rows,
answers, names) lose their control characters, so that none can steer the terminal.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from tunery.core.errors import Problem

_JSON = "tunery.json"
_SHORT = 20


class Command(click.Command):
    """A command; every one has --json."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                help="Answer with one JSON document.",
                callback=_remember_json,
            )
        )


class Group(click.Group):
    """A command of commands."""

    command_class = Command
    group_class = type


def _remember_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta[_JSON] = value


def wants_json() -> bool:
    """Whether the running command was given --json."""
    return bool(click.get_current_context().meta.get(_JSON))


def answer(document: Any, people: Callable[[], None]) -> None:
    """Give the answer: `document` (schemas, lists, dicts) as JSON, or whatever `people` prints."""
    if wants_json():
        print_json(document)
    else:
        people()


def print_json(document: Any) -> None:
    """One document on standard output."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    click.echo(orjson.dumps(document, default=_plain, option=options))


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def say(text: str) -> None:
    """A line for people, on standard output."""
    click.echo(clean(text))


def note(text: str) -> None:
    """A line for people beside the answer, on standard error."""
    click.echo(clean(text), err=True)


def clean(text: str) -> str:
    """Without control characters other than line feed and tab."""
    return "".join(sign if sign in "\n\t" or sign.isprintable() else " " for sign in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headings."""
    cells = [["" if cell is None else clean(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        _drawn_table(columns, cells)
        return
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    for row in [list(columns), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _drawn_table(columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for at, column in enumerate(columns):
        # Dates, numbers and states stay on one line; room is taken from what is long anyway.
        longest = max((len(row[at]) for row in cells), default=0)
        short = longest <= _SHORT
        drawn.add_column(column, overflow="fold", no_wrap=short, min_width=longest if short else None)
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)


def show_problem(problem: Problem, *, as_json: bool) -> None:
    """Say all that went wrong and what to do, on standard error; with --json also the document on standard output."""
    if as_json:
        print_json({"error": problem.as_dict()})
    for part in problem.parts:
        where = part.where
        place = (
            f" [{where.file}{f':{where.line}' if where.line else ''}]" if where.file and where.line else ""
        )
        click.echo(clean(f"Error: {part.message}{place}"), err=True)
        click.echo(clean(part.cli_cure), err=True)


def number(value: float | None, digits: int = 4) -> str:
    """A measured value; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def size(count: int | None) -> str:
    """Bytes as people say them."""
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def when(us: int | None) -> str:
    """A moment in this machine's time zone."""
    if us is None:
        return "–"
    from tunery.core.clock import to_datetime

    return to_datetime(us).astimezone().strftime("%Y-%m-%d %H:%M")
