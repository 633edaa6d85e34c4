"""Tables, sheets and Parquet: cases 23 to 25."""

import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.hostile.case import MB, Bad, Case, Refused, written, zipped

_XXE = b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>'


def tables(scale: float) -> Iterable[Case]:
    ragged = b'text,more\nfine,x\nonly one\n"a ""quoted""\ncell",x\n"never closed,x\nfine,x\na,b,c\n'
    found = {"ragged_row": 2, "csv_broken": 1}
    yield Case(23, "quotes, breaks, ragged rows", "a.csv", written(ragged), Bad(3, found))
    sheet = zipped(
        ("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", _XXE), ("xl/bomb.xml", b" " * 40 * MB)
    )
    yield Case(24, "xlsx with an entity and a bomb", "a.xlsx", written(sheet), Refused("Office document"))
    yield Case(24, "xlsx called csv", "a.csv", written(sheet), Refused("Office document"))
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    yield Case(24, "xls", "a.xls", written(old), Refused("Office document"))
    big = max(70, int(300 * scale))
    for title, dictionary in (("row group", False), ("dictionary", True)):
        yield Case(
            25, f"a {title} that swells", "a.parquet",
            lambda path, dictionary=dictionary: _swelling_parquet(path, big, dictionary=dictionary),
            Refused("row group"),
        )  # fmt: skip
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["x"] * 90}), out)
    yield Case(25, "cut Parquet", "a.parquet", written(out.getvalue()[:-9]), Refused("damaged"))


def _swelling_parquet(path: Path, megabytes: int, *, dictionary: bool) -> None:
    texts = [chr(97 + number % 26) * MB for number in range(megabytes)]
    if dictionary:
        texts = [str(number) + text for number, text in enumerate(texts)]
    pq.write_table(
        pa.table({"text": texts}), path, compression="zstd", use_dictionary=dictionary,
        dictionary_pagesize_limit=2 << 30, write_statistics=False,
    )  # fmt: skip
