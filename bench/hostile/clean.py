"""Files that are right: odd ones, and plain ones in every format. Each must be taken to its last row."""

import gzip
from collections.abc import Iterable, Iterator

import orjson
from PIL import Image

from bench.hostile.case import MB, ROW, Case, Clean, around, written, zipped
from bench.hostile.images import picture, shown
from tunery.data.formats.point import FORMATS, holds_images


def clean_cases(scale: float) -> Iterator[Case]:
    """Files that are odd and right, and plain ones in every format: each is taken to its last row."""
    yield from _odd(scale)
    for name, format in FORMATS.all():
        example = orjson.loads(format.EXAMPLE)
        records = [example] * 40
        if holds_images(format):
            held = zipped(("train.json", orjson.dumps(records)), ("images/pond.jpg", picture("JPEG")))
            yield Case(0, f"{name} in a ZIP", "a.zip", written(held), Clean(40))
            continue
        lines = b"\n".join(map(orjson.dumps, records))
        for file, content in (
            ("a.jsonl", lines), ("a.json", orjson.dumps(records, option=orjson.OPT_INDENT_2)),
            ("a.jsonl.gz", gzip.compress(lines)), ("a.zip", zipped(("a.jsonl", lines))),
        ):  # fmt: skip
            yield Case(0, f"{name} as {file}", file, written(content), Clean(40))


def _odd(scale: float) -> Iterable[Case]:
    for name in (
        '"><script>alert(1)<.jsonl',
        "a\u202efdp.jsonl",
        "x" * 245 + ".jsonl",
        "😀.jsonl",
        "CON.jsonl",
    ):
        made = zipped((name, ROW * 3))
        yield Case(9, f"a member called {name[:30]!r}", "a.zip", written(made), Clean(3))
    big = max(1, int(40 * scale))
    yield Case(
        11,
        f"a row of {big} MB",
        "a.jsonl",
        written(around(b'{"text": "' + b"x" * big * MB + b'"}')),
        Clean(7),
    )
    yield Case(12, "byte-order mark", "a.jsonl", written(b"\xef\xbb\xbf" + ROW * 3), Clean(3))
    keys = orjson.dumps({"text": "x", **{f"k{number}": number for number in range(100_000)}})
    yield Case(19, "100,000 further keys", "a.jsonl", written(around(keys)), Clean(7))
    wild = [
        "=cmd|' /C calc'!A0",
        "{{ ''.__class__ }}",
        "{% for x in y %}",
        "<script>alert(1)</script>",
        "\u202eabc",
    ]
    rows = b"".join(orjson.dumps({"text": text}) + b"\n" for text in wild)
    yield Case(22, "formulas", "a.csv", written(b"text,n\n=cmd|' /C calc'!A0,1\n@SUM(1),2\n"), Clean(2))
    yield Case(27, "templates and markup", "a.jsonl", written(rows), Clean(5))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "<script>alert(1)</script>"
    side = max(900, int(8000 * scale))
    pictures = shown(
        ("images/exif.jpg", picture("JPEG", exif=exif)),
        ("images/more.png", picture("PNG") + b"<script>alert(1)</script>" + zipped(("x", b"y"))),
        ("images/progressive.jpg", picture("JPEG", (900, 700), progressive=True)),
        ("images/large.jpg", picture("JPEG", (side, side))),
        ("images/web.webp", picture("WEBP")),
    )
    yield Case(26, "EXIF, polyglot, progressive, large", "a.zip", written(pictures), Clean(6))
