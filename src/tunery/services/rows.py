"""Rows of a version: searched, filtered, and as a training sees them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from tunery.core.errors import Problem
from tunery.data.example import Example
from tunery.data.facts import Fact, Facts
from tunery.data.preview import see
from tunery.data.rows import Row as DataRow
from tunery.data.rows import characters, decode_row
from tunery.data.search import Query, Search
from tunery.data.store import VersionReader
from tunery.methods.point import METHODS
from tunery.models.folder import sequence_limit
from tunery.schemas.check import RowKind
from tunery.schemas.statistics import FoundRow, FoundRows, Seen
from tunery.services import statistics
from tunery.services.context import Context
from tunery.services.datasets import version_with_rows
from tunery.services.tokenizers import need_template, tokenizer_of

SECONDS = 4.0
"""A search gives what it has after so long; asked again, it goes on from there."""
_HELD = 16
_searches: OrderedDict[tuple[Any, ...], Search] = OrderedDict()
_lock = threading.Lock()


def find(
    ctx: Context,
    dataset: str,
    version: int,
    query: Query,
    *,
    base_model: str | None = None,
    offset: int = 0,
    limit: int = 20,
) -> FoundRows:
    """Rows that fit a query, a page at a time. `base_model`: whose tokens are meant.

    Raises Problem `not_computed` where the query asks what only the statistics know, and they aren't there.
    """
    row = version_with_rows(ctx, dataset, version)
    reader = VersionReader(ctx.blobs, row.manifest)
    blob = statistics.facts_blob(ctx, row, base_model)
    if blob is None and base_model is not None and not query.needs_tokens:
        blob = statistics.facts_blob(ctx, row, None)
    facts = None if blob is None else Facts(ctx.blobs.local_path(blob))
    if query.everything:
        numbers: Sequence[int] = range(offset, min(offset + limit, len(reader)))
        total, complete, searched = len(reader), True, len(reader)
    else:
        if query.needs_facts and facts is None:
            raise statistics.not_computed(_asked(query), dataset, version, base_model)
        search = _held((row.manifest, blob, query), lambda: Search(reader, query, facts))
        search.go_on(SECONDS)
        numbers = search.found[offset : offset + limit]
        total, complete, searched = len(search.found), search.complete, search.searched
    known = [None] * len(numbers) if facts is None else facts.of(numbers)
    return FoundRows(
        rows=[
            _found(number, line, fact)
            for number, line, fact in zip(numbers, reader.pick(numbers), known, strict=True)
        ],
        offset=offset,
        total=total,
        complete=complete,
        searched=searched,
        of=len(reader),
    )


def seen(
    ctx: Context,
    dataset: str,
    version: int,
    *,
    base_model: str,
    method: str | None = None,
    max_sequence_length: int | None = None,
    offset: int = 0,
    limit: int = 5,
) -> Seen:
    """Rows as a training of `base_model` by `method` sees them.

    Without a method, the first that learns from such rows; without a length, the one that method recommends.
    Raises Problem `no_chat_template`, `format_not_for_method`, `no_method_for_rows` …
    """
    row = version_with_rows(ctx, dataset, version)
    reader = VersionReader(ctx.blobs, row.manifest)
    name = method or _first_method(row.row_kind)
    rules = METHODS.load(name)
    if row.row_kind not in rules.TAKES:
        fitting = ", ".join(sorted(rules.TAKES))
        raise Problem(
            "format_not_for_method", dataset=dataset, format=row.format, method=name, fitting=fitting
        )
    tokenizer = tokenizer_of(ctx, base_model)
    if row.row_kind != "text":
        need_template(tokenizer)
    settings = rules.Settings.model_validate(dict(rules.recommended("lora")))
    wanted = max_sequence_length or settings.max_sequence_length
    length, note = sequence_limit(wanted, tokenizer.folder.limit)
    renderer = tokenizer.renderer()

    def examples(one: DataRow, longest: int) -> Iterator[Example]:
        changed = settings.model_copy(update={"max_sequence_length": longest})
        return rules.examples(one, renderer, changed)

    numbers = range(offset, min(offset + limit, len(reader)))
    lines = zip(numbers, reader.pick(numbers), strict=True)
    return Seen(
        dataset=dataset,
        version=version,
        base_model=base_model,
        method=name,
        max_sequence_length=length,
        note=note,
        rows=[see(number + 1, decode_row(line), examples, renderer, length) for number, line in lines],
        offset=offset,
        total=len(reader),
    )


def methods_for(kind: RowKind) -> list[str]:
    """Training methods that learn from rows of a kind."""
    return [name for name, method in METHODS.all() if kind in method.TAKES]


def _first_method(kind: RowKind) -> str:
    fitting = methods_for(kind)
    if not fitting:
        raise Problem("no_method_for_rows", kind=kind)
    return "sft" if "sft" in fitting else fitting[0]


def _held(key: tuple[Any, ...], make: Callable[[], Search]) -> Search:
    """The search with this key, as far as it went; the last few are at hand."""
    with _lock:
        found = _searches.pop(key, None) or make()
        _searches[key] = found
        while len(_searches) > _HELD:
            _searches.popitem(last=False)
    return found


def _asked(query: Query) -> str:
    """What of a query only the statistics know."""
    if query.language is not None:
        return "The language of the rows"
    if query.having is not None:
        return f"Which rows are “{query.having.replace('_', ' ')}”"
    return "The length of the rows in tokens"


def _found(number: int, line: bytes, fact: Fact | None) -> FoundRow:
    row = orjson.loads(line)
    if fact is None:
        return FoundRow(number=number + 1, row=row, characters=characters(decode_row(line)))
    return FoundRow(
        number=number + 1,
        row=row,
        characters=fact.characters,
        tokens=fact.tokens,
        language=fact.language,
        repeats=None if fact.repeats is None else fact.repeats + 1,
    )
