"""CSV -> records. A row that is wrong in itself costs that row: reading goes on at the line after its first.

It knows which columns hold JSON or a yes and no, since a table has only text.
"""

import csv
import re
from collections.abc import Iterable, Iterator

import orjson

from tunery.core.errors import Problem, Where
from tunery.data.block import Block, Record, ValueBlock
from tunery.data.record import check_value, not_utf8, too_long
from tunery.data.rows import RowError
from tunery.data.splitter import split_lines

BATCH_ROWS = 256
_BATCH_BYTES = 1 << 20
LONGEST_ROW = 8 << 20
MOST_LINES = 100_000
"""A quote that is never closed takes no more than this with it."""
_LONGEST_HEADER = 1 << 16
_BOM = b"\xef\xbb\xbf"
_JSON_COLUMNS = frozenset({
    "conversations", "messages", "history", "tools", "chosen", "rejected", "prompt", "answers", "responses",
})  # fmt: skip
_NAMES = _JSON_COLUMNS | {
    "instruction",
    "input",
    "output",
    "completion",
    "response",
    "text",
    "label",
    "system",
}
_NAME = re.compile(r"[^\W\d][\w .-]{0,63}")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def looks_like_table(head: bytes, file_name: str) -> bool:
    """Whether bytes are a table: their file says so, or their first line names columns that formats know."""
    start = head.removeprefix(_BOM).lstrip()
    if start[:1] in (b"[", b"{", b""):
        return False
    ending = file_name.lower().rpartition(".")[2]
    if ending in ("csv", "tsv"):
        return True
    line = _first_line(start[:_LONGEST_HEADER].decode("utf-8", "replace"))
    names = next(csv.reader([line], delimiter=_delimiter(line)), [])
    plain = len(names) > 1 and all(_NAME.fullmatch(name) for name in names)
    return ending != "txt" and plain and not _NAMES.isdisjoint(names)


def read_table(chunks: Iterable[bytes], name: str, *, longest: int = LONGEST_ROW) -> Iterator[Block]:
    """Every row below the line of column names. Raises Problem `file_unreadable`."""
    # The limit is the module's, not a reader's; rows are limited by `longest` themselves.
    csv.field_size_limit(max(csv.field_size_limit(), longest))
    lines = _Lines(split_lines(chunks, longest), longest)
    header = lines.header(name)
    batch: list[Record] = []
    size = 0
    for record in _records(lines, header):
        batch.append(record)
        size += len(record.raw)
        if len(batch) == BATCH_ROWS or size > _BATCH_BYTES:
            yield ValueBlock(batch)
            batch, size = [], 0
    if batch:
        yield ValueBlock(batch)


class _Cut(Exception):
    """The row that is being read is too long to hold."""


class _Line:
    """A line as it stands in the file, with its end."""

    __slots__ = ("number", "offset", "raw", "size")

    def __init__(self, number: int, offset: int, raw: bytes, size: int) -> None:
        self.number, self.offset, self.raw, self.size = number, offset, raw, size


class _Lines:
    """Gives csv its lines and remembers those of the row at hand, so that they can be read anew."""

    def __init__(self, lines: Iterator[tuple[list[bytes], dict[int, int]]], longest: int) -> None:
        self._ahead: list[_Line] = []
        self._coming = self._numbered(lines)
        self._longest = longest
        self._held = 0
        self.row: list[_Line] = []
        self.delimiter = ","

    def _numbered(self, lines: Iterator[tuple[list[bytes], dict[int, int]]]) -> Iterator[_Line]:
        number, offset = 1, 0
        for many, cut in lines:
            for at, raw in enumerate(many):
                size = cut.get(at, len(raw))
                yield _Line(number, offset, raw + b"\n", size)
                number += 1
                offset += size + 1

    def header(self, name: str) -> list[str]:
        """The names of the columns."""
        first = next((line for line in self._coming if line.raw.strip(b"\r\n \t" + _BOM)), None)
        if first is None:
            return []
        try:
            text = first.raw.removeprefix(_BOM).decode("utf-8").strip("\r\n")
        except UnicodeDecodeError as error:
            raise _refused(name, "its first line isn't UTF-8; save it as UTF-8") from error
        self.delimiter = _delimiter(text)
        try:
            names = [cell.strip() for cell in next(csv.reader([text], delimiter=self.delimiter, strict=True))]
        except csv.Error as error:
            raise _refused(name, f"its first line doesn't name columns ({error})") from error
        if not all(names) or len(set(names)) < len(names):
            raise _refused(name, "its first line must name every column, each differently")
        return names

    def begin(self) -> None:
        """A new row is read."""
        self.row = []
        self._held = 0

    def again(self) -> _Line:
        """The row at hand is wrong: give its first line, and the others once more."""
        first, *others = self.row
        self._ahead += reversed(others)
        return first

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._ahead.pop() if self._ahead else next(self._coming)
        self.row.append(line)
        self._held += line.size
        if self._held > self._longest or len(self.row) > MOST_LINES:
            raise _Cut
        return line.raw.decode("utf-8", "surrogateescape")


def _records(lines: _Lines, header: list[str]) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=lines.delimiter, strict=True)
    row = 0
    while True:
        lines.begin()
        error: RowError | None = None
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _Cut:
            size = lines.row[0].size
            fix = "Close the quote that opens on this line; no end of its row was found."
            error = RowError("csv_broken", fix) if len(lines.row) > 1 else too_long(size, LONGEST_ROW)
        except csv.Error as broken:
            fix = f"Put cells with quotes, commas or line breaks into quotes, and double quotes inside ({broken})."
            error = RowError("csv_broken", fix)
        if error is None and not cells:
            continue
        row += 1
        if error is not None:
            first = lines.again()
            yield Record(row, first.number, first.offset, first.raw.rstrip(b"\r\n"), None, error)
        else:
            yield _record(row, lines.row, cells, header)


def _record(row: int, lines: list[_Line], cells: list[str], header: list[str]) -> Record:
    raw = b"".join(line.raw for line in lines).rstrip(b"\r\n")
    value: dict[str, object] | None = None
    error = None
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        error = not_utf8(raw, bad, "row")
    else:
        if len(cells) != len(header):
            fix = f"Give {len(header)} cells, one for each column; quote a cell that holds a comma."
            error = RowError("ragged_row", fix, found=f"{len(cells)} cells")
        else:
            value = {name: _cell(name, cell) for name, cell in zip(header, cells, strict=True)}
            value = {name: cell for name, cell in value.items() if cell is not None}
            error = check_value(value, raw)
    return Record(row, lines[0].number, lines[0].offset, raw, value, error)


def _cell(name: str, cell: str) -> object:
    """A cell's text, or what it says as JSON or as yes and no; None where such a cell is empty."""
    if name in _JSON_COLUMNS and cell.lstrip()[:1] in ("[", "{"):
        try:
            return orjson.loads(cell)
        except orjson.JSONDecodeError:
            return cell
    if name == "label":
        return _TRUTH.get(cell.strip().lower(), cell) if cell.strip() else None
    return None if name in _JSON_COLUMNS and not cell.strip() else cell


def _first_line(text: str) -> str:
    """Up to the first end of a line, whichever sign that is: csv takes no bare carriage return in a line."""
    return text.partition("\n")[0].partition("\r")[0].strip()


def _delimiter(line: str) -> str:
    """Of the usual ones, the one that parts the line most."""
    line = _first_line(line)
    counts = {sign: len(next(csv.reader([line], delimiter=sign), [])) for sign in (",", ";", "\t")}
    return max(counts, key=lambda sign: counts[sign])


def _refused(name: str, detail: str) -> Problem:
    return Problem("file_unreadable", where=Where(file=name, line=1), path=name, detail=detail)
