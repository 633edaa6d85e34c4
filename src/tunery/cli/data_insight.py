"""The commands of `tunery data` that look into versions: rows, statistics, what a model sees, differences; deletion."""

import sys
from typing import TYPE_CHECKING, Any

import click

from tunery.cli.output import Command, answer, note, say, size, table
from tunery.cli.rows_in_words import show_row

if TYPE_CHECKING:
    from tunery.schemas.statistics import Change, Piece, SeenSequence, VersionStatistics

_VERSION = click.option(
    "--version", "number", type=click.IntRange(1), help="The version; the newest by default."
)
_OFFSET = click.option("--offset", type=click.IntRange(0), default=0, help="How many to skip.")


def _limit(default: int, most: int) -> Any:
    return click.option(
        "--limit",
        type=click.IntRange(1, most),
        default=default,
        show_default=True,
        help="The most items to return.",
    )


@click.command("rows", cls=Command)
@click.argument("name")
@_VERSION
@click.option("--text", default="", help="Text to find in a turn, ignoring case.")
@click.option(
    "--role",
    type=click.Choice(["system", "user", "assistant", "tool"]),
    help="Only turns of this role, and the text in them.",
)
@click.option("--min-characters", type=click.IntRange(0), help="Minimum row length, in characters.")
@click.option("--max-characters", type=click.IntRange(0), help="Maximum row length, in characters.")
@click.option("--min-tokens", type=click.IntRange(0), help="Minimum row length, in tokens.")
@click.option("--max-tokens", type=click.IntRange(0), help="Maximum row length, in tokens.")
@click.option("--language", help="ISO 639 code, or `unknown`.")
@click.option(
    "--having",
    type=click.Choice(["duplicates", "empty", "short_answers", "refused"]),
    help="Rows that repeat an earlier one, have an empty turn, a short answer, or are rejected by the chat template.",
)
@click.option(
    "--base-model", help="Base model whose tokens are counted; that of the newest statistics by default."
)
@_OFFSET
@_limit(10, 200)
def rows(name: str, number: int | None, offset: int, limit: int, **query: Any) -> None:
    """Search the rows of a dataset. Tokens, --language and --having need `tunery data statistics` first."""
    from tunery.sdk.client import Client

    with Client() as client:
        version = number or _newest(client, name)
        page = client.datasets.search(name, version, **query, offset=offset, limit=limit)

    def people() -> None:
        for found in page.rows:
            show_row(found.number, found.row)
            say("")
        rest = (
            ""
            if page.complete
            else f" in the first {page.searched:,} of {page.of:,}; repeat the search to continue"
        )
        note(f"{page.total:,} rows match{rest}.")
        if offset + len(page.rows) < page.total:
            note(f"More: --offset {offset + len(page.rows)}")

    answer(page, people)


@click.command("statistics", cls=Command)
@click.argument("name")
@_VERSION
@click.option("--base-model", help="Count tokens with this base model's tokenizer.")
@click.option(
    "--length", type=click.IntRange(1), help="Count the rows that are longer than this many tokens."
)
def statistics(name: str, number: int | None, base_model: str | None, length: int | None) -> None:
    """What is in a version: lengths, tokens, turns, languages, duplicates, empty fields. Computed once, then kept."""
    from tunery.sdk.client import Client

    with Client() as client:
        version = number or _newest(client, name)
        got = client.datasets.statistics(name, version, base_model=base_model, length=length)

    def people() -> None:
        assert got.found is not None
        table(["what", "value"], _facts(got.found))
        if got.found.tokens is not None:
            cuts = [*got.found.tokens.cuts, *([got.cut] if got.cut else [])]
            say("")
            shares = [(f"{c.length:,}", f"{c.rows:,}", f"{c.share:.1%}") for c in cuts]
            table(["cut at tokens", "rows cut", "share"], shares)
        say("")
        table(
            ["language", "rows", "share"],
            [(x.language, x.rows, f"{x.share:.1%}") for x in got.found.languages or []],
        )

    answer(got, people)


def _facts(found: "VersionStatistics") -> list[tuple[str, str]]:
    def plain(value: int | None) -> str:
        return "–" if value is None else f"{value:,}"

    told = [("rows", plain(found.rows)), ("turns", plain(found.turns))]
    told += [(f"turns: {role}", plain(count)) for role, count in found.turns_by_role.items()]
    for unit, lengths in (("characters", found.characters), ("tokens", found.tokens)):
        if lengths is not None:
            total = lengths.total if unit == "characters" else found.sequence_tokens
            told.append((unit, plain(total)))
            told.append(
                (f"{unit}: median, p99, longest", f"{lengths.median:,}, {lengths.p99:,}, {lengths.longest:,}")
            )
    return [
        *told,
        ("tokens trained on", plain(found.learnt_tokens)),
        ("duplicates", plain(found.duplicates)),
        ("rows with an empty turn", plain(found.empty_rows)),
        ("rows with a short answer", plain(found.short_answers)),
        ("rows the chat template rejects", plain(found.refused_rows)),
    ]


@click.command("seen", cls=Command)
@click.argument("name")
@_VERSION
@click.option("--base-model", required=True, help="A base model on the server's machine.")
@click.option("--method", help="A training method; by default the first that accepts such rows.")
@click.option(
    "--max-sequence-length", type=click.IntRange(2), help="The maximum length; the method's own by default."
)
@_OFFSET
@_limit(1, 20)
def seen(name: str, number: int | None, **asked: Any) -> None:
    """Rows as the model sees them in training: special tokens, what is trained on, what is cut off."""
    from tunery.sdk.client import Client

    with Client() as client:
        page = client.datasets.seen(name, number or _newest(client, name), **asked)

    def people() -> None:
        note(f"{page.method} on {page.base_model}, cut at {page.max_sequence_length:,} tokens.")
        if not sys.stdout.isatty():
            note("Text in ⟦ ⟧ is trained on; text after ✂ is cut off.")
        if page.note:
            note(page.note)
        for row in page.rows:
            if row.problem is not None:
                say(f"{row.number}  {row.problem['message']}")
            for sequence in row.sequences:
                _show_sequence(row.number, sequence)

    answer(page, people)


def _show_sequence(number: int, sequence: "SeenSequence") -> None:
    label = f" {sequence.label}" if sequence.label else ""
    left_out = " · left out: nothing in it is trained on" if sequence.left_out else ""
    counts = f"{sequence.tokens:,} tokens, {sequence.learnt:,} trained on, {sequence.cut:,} cut off"
    say(f"{number}{label}  {counts}{left_out}")
    if sys.stdout.isatty():
        _coloured(sequence.pieces)
    else:
        say(_marked(sequence.pieces))
    if not sequence.complete:
        note("… too long to show in full.")
    say("")


def _marked(pieces: "list[Piece]") -> str:
    """Text with signs where what is learnt begins and ends, and where the cut is."""
    told: list[str] = []
    before = (False, False)
    for piece in [*pieces, None]:
        learnt, cut = (piece.learnt and not piece.cut, piece.cut) if piece else (False, before[1])
        if before[0] and not learnt:
            told.append("⟧")
        if cut and not before[1]:
            told.append("✂")
        if learnt and not before[0]:
            told.append("⟦")
        told.append(piece.text if piece else "")
        before = learnt, cut
    return "".join(told)


def _coloured(pieces: "list[Piece]") -> None:
    from rich.console import Console
    from rich.text import Text

    from tunery.cli.output import clean

    shown = Text()
    for piece in pieces:
        colour = "strike red" if piece.cut else "green" if piece.learnt else ""
        shown.append(clean(piece.text), f"{colour} {'reverse' if piece.special else ''}".strip())
    Console(highlight=False).print(shown)


@click.command("compare", cls=Command)
@click.argument("name")
@click.argument("old", type=click.IntRange(1))
@click.argument("new", type=click.IntRange(1))
@click.option(
    "--kind",
    type=click.Choice(["changed", "added", "removed", "unchanged"]),
    default="changed",
    show_default=True,
    help="Which rows to show.",
)
@_OFFSET
@_limit(10, 200)
def compare(name: str, old: int, new: int, kind: Any, offset: int, limit: int) -> None:
    """How version NEW of a dataset differs from version OLD, row by row."""
    from tunery.sdk.client import Client

    with Client() as client:
        got = client.datasets.compare(name, old, new)
        page = client.datasets.changes(name, old, new, kind, offset, limit)

    def people() -> None:
        assert got.counts is not None
        table(["changed", "added", "removed", "unchanged"], [tuple(got.counts.model_dump().values())])
        for change in page.changes:
            say("")
            _show_change(change)

    answer({"comparison": got, "changes": page}, people)


def _show_change(change: "Change") -> None:
    for sign, number, row in (("-", change.old, change.old_row), ("+", change.new, change.new_row)):
        if row is not None and number is not None and (sign == "+" or change.kind != "unchanged"):
            say({"unchanged": " "}.get(change.kind, sign))
            show_row(number, row)


@click.command("delete", cls=Command)
@click.argument("name")
@click.option(
    "--version", "number", type=click.IntRange(1), help="Only this version; the whole dataset by default."
)
@click.option("--even-if-used", is_flag=True, help="Delete the rows even if a model was trained on them.")
def delete(name: str, number: int | None, even_if_used: bool) -> None:
    """Delete a dataset, or the rows of one version; its number and hash are kept."""
    from tunery.sdk.client import Client

    if even_if_used and number is None:
        raise click.UsageError("--even-if-used is for one version: name it with --version.")
    with Client() as client:
        if number is None:
            client.datasets.delete(name)
            answer({"deleted": name}, lambda: say(f"{name} is deleted. `tunery data gc` frees its bytes."))
            return
        left = client.datasets.delete_version(name, number, even_if_used=even_if_used)
    kept = f" Its hash is kept: {left.content_hash}" if left.content_hash else ""
    answer(left, lambda: say(f"The rows of {name}@{number} are deleted.{kept}"))


@click.command("gc", cls=Command)
def gc() -> None:
    """Free storage that nothing uses any more. Anything stored less than an hour ago is kept."""
    from tunery.sdk.client import Client

    with Client() as client:
        task = client.datasets.collect_garbage()
    freed = task.result or {}
    answer(task, lambda: say(f"{freed['blobs']:,} blobs removed, {size(freed['bytes'])} freed."))


def _newest(client: Any, name: str) -> int:
    """The newest version that has rows; else the newest, so that the server says what is wrong with it."""
    versions = client.datasets.versions(name)
    with_rows = (v.version for v in versions if v.state in ("published", "draft"))
    return next(with_rows, versions[0].version if versions else 1)


INSIGHT = (rows, statistics, seen, compare, delete, gc)
"""Commands of the group `data`."""
