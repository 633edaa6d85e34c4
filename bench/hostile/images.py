"""Images that flood, lie, are cut off, or aren't there: case 26."""

import base64
import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import orjson
from PIL import Image

from bench.hostile.case import MB, Bad, Case, written, zipped


def picture(kind: str, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """A picture with a gradient in it."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, kind, **options)
    return out.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG with any size in its header, and next to no pixels."""
    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(b"\0" * 4000))
    return b"\x89PNG\r\n\x1a\n" + b"".join([_chunk(b"IHDR", head), *chunks, pixels, _chunk(b"IEND", b"")])


def _webp(width: int, height: int) -> bytes:
    body = b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"WEBPVP8X" + struct.pack("<L", 10) + body + picture("WEBP")[12:]
    return b"RIFF" + struct.pack("<L", len(chunk)) + chunk


def shown(*images: tuple[str, bytes], question: str = "What?") -> bytes:
    """Rows with one image each, the first of them honest."""
    held = [("images/good.png", picture("PNG")), *images]
    talks = [
        {
            "conversations": [
                {"from": "human", "value": question if n else "What?"},
                {"from": "gpt", "value": "A."},
            ],
            "image_path": name,
        }
        for n, (name, _) in enumerate(held)
    ]
    return zipped(("train.json", orjson.dumps(talks)), *[(name, image) for name, image in held if image])


def pictures(scale: float) -> Iterable[Case]:
    words = zlib.compress(b"a" * max(70, int(200 * scale)) * MB)
    wide = max(6600, int(15_000 * scale))
    wrong: list[tuple[str, str, bytes, str]] = [
        ("pixel flood", "a.png", _png(60_000, 60_000), "image_too_many_pixels"),
        ("square flood", "a.png", _png(16_000, 16_000), "image_too_many_pixels"),
        ("flood by WebP", "a.webp", _webp(16_000, 16_000), "image_too_many_pixels"),
        ("real flood", "a.png", picture("PNG", (wide, wide)), "image_too_many_pixels"),
        ("text that swells in a PNG", "a.png", _png(9, 9, _chunk(b"zTXt", b"k\0\0" + words)), "image_broken"),
        ("cut JPEG", "a.jpg", picture("JPEG", (400, 300))[:-900], "image_broken"),
        ("cut PNG", "a.png", picture("PNG", (400, 300))[:-60], "image_broken"),
        ("SVG with a script", "a.svg", b"<svg onload='alert(1)'><script>alert(1)</script></svg>", "not_an_image"),
        ("HTML called PNG", "a.png", b"<html><script>alert(1)</script>", "not_an_image"),
        ("a ZIP called PNG", "a.png", zipped(("x", b"y")), "not_an_image"),
        ("PostScript", "a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not_an_image"),
        ("missing", "gone.png", b"", "image_missing"),
    ]  # fmt: skip
    for title, name, content, rule in wrong:
        yield Case(26, title, "a.zip", written(shown((f"images/{name}", content))), Bad(1, {rule: 1}))
    for path in ("../../etc/passwd", "/etc/passwd", "C:\\x.png"):
        made = orjson.loads(b"{}") | {"image_path": path, "prompt": "What?", "response": "A."}
        good = {"image_path": "a.png", "prompt": "What?", "response": "A."}
        held = zipped(("rows.json", orjson.dumps([good, made])), ("a.png", picture("PNG")))
        yield Case(26, f"image at {path}", "a.zip", written(held), Bad(1, {"image_outside": 1}))
    for path in ("http://169.254.169.254/x.png", "file:///etc/passwd"):
        held = zipped(
            (
                "rows.json",
                orjson.dumps([{"image": p, "prompt": "?", "response": "A."} for p in ("a.png", path)]),
            ),
            ("a.png", picture("PNG")),
        )
        yield Case(26, f"image at {path}", "a.zip", written(held), Bad(1, {"image_elsewhere": 1}))
    held = "data:image/png;base64," + "QUJD" * (10 * MB)
    row = orjson.dumps({"prompt": "What?", "image": held, "response": "A."})
    good = orjson.dumps(
        {"prompt": "What?", "image": f"data:;base64,{_encoded(picture('PNG'))}", "response": "A."}
    )
    lines = b"\n".join([good, row[: 38 * MB] + row[-30:], good])
    yield Case(26, "38 MB of image in a row", "a.jsonl", written(lines), Bad(2, {"image_too_large": 1}))
    places = shown(("images/b.png", picture("PNG")), question="<image> or <image>?")
    yield Case(26, "more places than images", "a.zip", written(places), Bad(1, {"image_placeholders": 1}))


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
