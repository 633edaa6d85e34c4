"""Rows with images: each image found, read to its last pixel and kept by its hash, or the row refused with the rule."""

import base64
import hashlib
import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.data.pictures import archive, picture
from tests.data.test_containers import as_csv, as_zip, check, lines
from tunery.blobs.local import LocalBlobs
from tunery.data.check import check_file
from tunery.data.images import MAX_BYTES, read_picture
from tunery.data.rows import (
    Captioned,
    Conversation,
    ImagePart,
    Preference,
    Row,
    RowError,
    TextPart,
    decode_row,
    images_of,
)
from tunery.data.store import VersionReader, VersionWriter
from tunery.schemas.check import CheckReport


def talk(*texts: str, **more: Any) -> dict[str, Any]:
    said = [{"from": role, "value": text} for role, text in zip(("human", "gpt") * 9, texts, strict=False)]
    return {"conversations": said, **more}


def read(
    folder: Path, name: str, content: bytes, **more: Any
) -> tuple[CheckReport, list[Row], dict[str, bytes]]:
    rows: list[Row] = []
    images: dict[str, bytes] = {}
    report = check(
        folder, name, content,
        on_rows=lambda found, _: rows.extend(map(decode_row, found)),
        on_image=lambda digest, held: images.update({digest: held}),
        **more,
    )  # fmt: skip
    assert report.rows_read == report.rows_accepted + report.rows_rejected
    return report, rows, images


def rules(folder: Path, content: bytes, **more: Any) -> list[tuple[int, str | None, str]]:
    report, _, _ = read(folder, "a.zip", content, **more)
    return [(bad.row, bad.field, bad.rule) for bad in report.problems]


def seen(row: Row) -> list[str]:
    """The parts of the first question: words, and an X for each image."""
    assert isinstance(row, Conversation | Preference)
    return [part.text if isinstance(part, TextPart) else "X" for part in row.messages[0].content]


def test_sharegpt_with_images(tmp_path: Path) -> None:
    pond, hill = picture("JPEG"), picture("PNG", (5, 7), "RGBA")
    records = [
        talk("<image>\nWhat is this?", "A pond.", image_path="images/pond.jpg"),
        talk("And <image> this?", "A hill.", image_path="./images/hill.png"),
        talk("What is this?", "A hill.", image_path="hill.png"),
        talk("<image> or <image>?", "The first.", images=["images/pond.jpg", "images\\hill.png"]),
    ]
    content = archive(records, {"images/pond.jpg": pond, "images/hill.png": hill})
    report, rows, images = read(tmp_path, "a.zip", content)
    assert (report.format, report.rows_accepted, report.images) == ("sharegpt_image", 4, 5)
    assert "the field image_path" in report.reason
    assert [seen(row) for row in rows] == [
        ["X", "\nWhat is this?"], ["And ", "X", " this?"], ["X", "What is this?"], ["X", " or ", "X", "?"],
    ]  # fmt: skip
    digests = [hashlib.sha256(one).hexdigest() for one in (pond, hill)]
    assert images == dict(zip(digests, (pond, hill), strict=True))
    assert [images_of(row)[0] for row in rows[:2]] == [
        ImagePart(digests[0], "image/jpeg", 12, 8), ImagePart(digests[1], "image/png", 5, 7),
    ]  # fmt: skip


def test_prompt_image_response_and_captions(tmp_path: Path) -> None:
    images = {f"i/{n}.png": picture(size=(n + 1, 3)) for n in range(3)}
    asked = [{"prompt": "What?", "image": f"i/{n}.png", "response": f"{n}", "system": "s"} for n in range(3)]
    report, rows, _ = read(tmp_path, "a.zip", archive(asked, images))
    assert (report.format, report.rows_accepted, report.images) == ("prompt_image_response", 3, 3)
    assert isinstance(rows[0], Conversation)
    assert [message.role for message in rows[0].messages] == ["system", "user", "assistant"]
    captions = [{"image": f"{n}.png", "caption": f"Number {n}"} for n in range(3)]
    report, rows, _ = read(tmp_path, "a.zip", archive(captions, images))
    assert (report.format, report.rows_accepted, report.images) == ("image_caption", 3, 3)
    assert isinstance(rows[2], Captioned)
    assert (rows[2].caption, images_of(rows[2])[0].width) == ("Number 2", 3)
    # The same as rows of a table, as one text file beside each image, and below a folder.
    hashes = {report.content_hash}
    table = [{"file_name": f"{n}.png", "text": f"Number {n}"} for n in range(3)]
    hashes.add(read(tmp_path, "a.zip", as_zip({"i/metadata.csv": as_csv(table), **images}))[0].content_hash)
    words = {f"i/{n}.txt": f"Number {n}\n".encode() for n in range(3)}
    hashes.add(read(tmp_path, "a.zip", as_zip({**words, **images}))[0].content_hash)
    below = {f"all/{name}": held for name, held in images.items()}
    hashes.add(read(tmp_path, "a.zip", archive(captions, below, "all/train.jsonl"))[0].content_hash)
    assert len(hashes) == 1


def test_images_in_messages_and_preferences(tmp_path: Path) -> None:
    held = picture()
    data = "data:image/png;base64," + base64.b64encode(held).decode()
    parts = [
        [{"type": "image_url", "image_url": {"url": data}}, {"type": "text", "text": "What?"}],
        [{"type": "image", "image": data}, {"type": "text", "text": "What?"}],
        [{"type": "input_image", "image_url": data}, {"type": "input_text", "text": "What?"}],
    ]
    answer = {"role": "assistant", "content": [{"type": "text", "text": "A."}]}
    records: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": one}, answer]} for one in parts
    ]
    empty = [{"type": "image"}, {"type": "text", "text": "What?"}]
    records.append({"messages": [{"role": "user", "content": empty}, answer], "images": [data]})
    report, rows, images = read(tmp_path, "a.jsonl", lines(records))
    assert (report.format, report.rows_accepted, len(set(rows)), list(images.values())) == (
        "messages",
        4,
        1,
        [held],
    )
    assert seen(rows[0]) == ["X", "What?"]
    ranked: list[dict[str, Any]] = [
        {**talk("<image>What?"), "chosen": "A.", "rejected": "B.", "image_path": data},
        {"prompt": "What?", "chosen": "A.", "rejected": "B.", "image": data},
        {"prompt": [{"role": "user", "content": empty}], "images": [data],
         "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "A."}]}], "rejected": "B."},
    ]  # fmt: skip
    report, rows, _ = read(tmp_path, "a.jsonl", lines(ranked))
    assert (report.format, report.rows_accepted, len(set(rows))) == ("preference", 3, 1)
    assert seen(rows[0]) == ["X", "What?"]


def test_parquet_that_holds_its_images(tmp_path: Path) -> None:
    held = picture("WEBP")
    records = [{"image": {"bytes": held, "path": None}, "prompt": "What?", "response": "A."},
               {"image": {"bytes": held[:40], "path": "x.webp"}, "prompt": "What?", "response": "A."}]  # fmt: skip
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), out)
    report, rows, images = read(tmp_path, "a.parquet", out.getvalue())
    assert (report.format, report.rows_accepted, list(images.values())) == (
        "prompt_image_response",
        1,
        [held],
    )
    assert images_of(rows[0])[0].media_type == "image/webp"
    assert [(bad.row, bad.field, bad.rule) for bad in report.problems] == [(2, "image", "image_broken")]


@pytest.mark.parametrize(
    ("record", "field", "rule"),
    [
        (talk("a", "b", image_path="none.png"), "image_path", "image_missing"),
        (talk("a", "b", image_path="same.png"), "image_path", "image_missing"),
        (talk("a", "b"), "image_path", "field_missing"),
        (talk("a", "b", image_path=3), "image_path", "not_an_image_name"),
        (talk("a", "b", image_path="../a.png"), "image_path", "image_outside"),
        (talk("a", "b", image_path="/etc/passwd"), "image_path", "image_outside"),
        (talk("a", "b", image_path="C:\\a.png"), "image_path", "image_outside"),
        (talk("a", "b", image_path="file:///etc/passwd"), "image_path", "image_elsewhere"),
        (talk("a", "b", image_path="http://169.254.169.254/a.png"), "image_path", "image_elsewhere"),
        (talk("a", "b", image_path="data:image/png;base64,!!"), "image_path", "image_broken"),
        (talk("a", "b", image_path="data:,hello"), "image_path", "not_an_image"),
        (talk("a", "b", image_path="data:;base64," + "QUJD" * (4 << 20)), "image_path", "image_too_large"),
        (talk("<image><image>", "b", image_path="a.png"), "conversations", "image_placeholders"),
        (talk("<image>", "b", images=["a.png", "a.png"]), "conversations", "image_placeholders"),
        (talk("a", "b", images=["a.png", "gone.png"]), "images[1]", "image_missing"),
        (talk("a", "b", image="a.png", images=["a.png"]), "images", "two_image_fields"),
        (talk("a", "b", image_path="text.png"), "image_path", "not_an_image"),
        (talk("a", "b", image_path="cut.jpg"), "image_path", "image_broken"),
        (talk("a", "b", image_path="flood.png"), "image_path", "image_too_many_pixels"),
        (talk("a", "b", image_path="script.svg"), "image_path", "not_an_image"),
        (talk("a", "b", image_path="moves.gif"), "image_path", "image_kind"),
        (talk("a", "b", image_path="moves.webp"), "image_path", "image_animated"),
        (talk("a", "b", image_path="deep.png"), "image_path", "image_mode"),
        (talk("a", "b", image_path="crc.png"), "image_path", "image_broken"),
    ],
)  # fmt: skip
def test_images_that_cannot_be_used_cost_their_row(
    record: dict[str, Any], field: str, rule: str, tmp_path: Path
) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    images = {
        "a.png": picture(), "x/same.png": picture(), "y/same.png": picture(),
        "text.png": b"hello", "cut.jpg": picture("JPEG", (300, 300))[:-900], "flood.png": flood(60_000, 60_000),
        "script.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "moves.gif": moving("GIF", frames), "moves.webp": moving("WEBP", frames),
        "deep.png": picture(mode="I;16"), "crc.png": picture()[:-20] + b"\0" * 20,
    }  # fmt: skip
    content = archive([record, talk("fine", "yes", image_path="a.png")], images)
    assert rules(tmp_path, content, format="sharegpt_image") == [(1, field, rule)]


def moving(kind: str, frames: list[Image.Image]) -> bytes:
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def flood(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def webp_that_claims(width: int, height: int) -> bytes:
    """An extended WebP header with any size in it."""
    body = b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"WEBPVP8X" + struct.pack("<L", 10) + body + picture("WEBP")[12:]
    return b"RIFF" + struct.pack("<L", len(chunk)) + chunk


@pytest.mark.parametrize(
    "content",
    [flood(60_000, 60_000), flood(16_000, 16_000), flood(20_000, 1), webp_that_claims(16_000, 16_000),
     webp_that_claims(1 << 24, 1 << 24)],
)  # fmt: skip
def test_claimed_sizes_are_judged_before_pixels(content: bytes) -> None:
    with pytest.raises(RowError) as refusal:
        read_picture(content, "image")
    assert refusal.value.rule == "image_too_many_pixels"


def test_pictures_as_cameras_and_programs_write_them() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "<script>alert(1)</script>"
    assert read_picture(picture("JPEG", (12, 8), exif=exif), "i") == ("image/jpeg", 8, 12)
    for kind, mode in (
        ("PNG", "P"),
        ("PNG", "LA"),
        ("PNG", "1"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("WEBP", "RGBA"),
    ):
        assert read_picture(picture(kind, mode=mode), "i")[1:] == (12, 8)
    assert read_picture(picture("JPEG", (900, 700), progressive=True), "i") == ("image/jpeg", 900, 700)
    with pytest.raises(RowError) as refusal:
        read_picture(b"\xff\xd8\xff" + b"\0" * MAX_BYTES, "i")
    assert refusal.value.rule == "image_too_large"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_pictures_never_crash(kind: str) -> None:
    whole = picture(kind, (64, 48))
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        for damaged in (
            whole[:place],
            whole[:place] + b"\xff" + whole[place + 1 :],
            whole[:place] + whole[place + 3 :],
        ):
            with suppress(RowError):
                assert read_picture(damaged, "i").media_type == f"image/{kind.lower()}"


def test_text_formats_never_lose_an_image(tmp_path: Path) -> None:
    plain = {"instruction": "a", "output": "b"}
    report, _, _ = read(
        tmp_path, "a.jsonl", lines([plain, {**plain, "image": "x.png"}, {**plain, "image": None}])
    )
    assert [(bad.row, bad.rule) for bad in report.problems] == [(2, "image_not_taken")]
    said = [talk("a", "b"), talk("c", "d", image_path="x.png"), talk("e", "f", image_path=None)]
    report, _, _ = read(tmp_path, "a.jsonl", lines(said))
    assert (report.format, [(bad.row, bad.rule) for bad in report.problems]) == (
        "sharegpt",
        [(2, "image_missing")],
    )


def test_a_version_keeps_the_images_its_rows_show_and_no_others(tmp_path: Path) -> None:
    held = [picture(size=(n + 1, 2)) for n in range(4)]
    images = {f"{n}.png": one for n, one in enumerate(held)}
    good = [talk(f"q{n}", "a", image_path=f"{n}.png") for n in (2, 0, 2)]
    bad = talk("q", "", image_path="3.png")
    upload = tmp_path / "upload"
    upload.write_bytes(archive([*good, bad], images))
    blobs = LocalBlobs(tmp_path / "blobs")
    with VersionWriter(blobs, scratch=tmp_path) as writer:
        report = check_file(upload, name="a.zip", on_rows=writer.append, on_image=writer.add_image)
        assert report.content_hash
        manifest = writer.finish(report.content_hash, report.format, "conversation")
    reader = VersionReader(blobs, manifest)
    kept = sorted(hashlib.sha256(held[n]).hexdigest() for n in (0, 2))
    assert reader.images() == kept
    assert {blobs.local_path(digest).read_bytes() for digest in kept} == {held[0], held[2]}
    assert not any(blobs.exists(hashlib.sha256(held[n]).hexdigest()) for n in (1, 3))
    # A version made of those rows shows the same images without bringing them again.
    with VersionWriter(blobs, scratch=tmp_path) as writer:
        writer.append(list(reader.lines()), 1)
        assert VersionReader(blobs, writer.finish("x", "sharegpt_image", "conversation")).images() == kept


def test_of_many_captions_2000_are_drawn(tmp_path: Path) -> None:
    one = picture(size=(1, 1))
    names = {f"{n}.png": one for n in range(3)}
    records = [{"image": f"{n % 3}.png", "caption": f"Number {n}"} for n in range(2600)]
    report, rows, _ = read(tmp_path, "a.zip", archive(records, names))
    assert (report.rows_read, report.rows_accepted, report.rows_rejected) == (2600, 2600, 0)
    assert report.drawn is not None
    assert (report.drawn.rows, report.drawn.seed, len(rows)) == (2000, 0, 2000)
    numbers = [int(row.caption.split()[1]) for row in rows if isinstance(row, Captioned)]
    assert numbers == sorted(set(numbers))
    assert 300 < sum(number < 520 for number in numbers) < 500
    again, same, _ = read(tmp_path, "a.zip", archive(records, names))
    assert (again.content_hash, same) == (report.content_hash, rows)
    few, rows, _ = read(tmp_path, "a.zip", archive(records[:2000], names))
    assert (few.drawn, len(rows)) == (None, 2000)


def test_a_row_is_one_json_line_with_its_images(tmp_path: Path) -> None:
    taken: list[bytes] = []
    content = archive([talk("<image>a", "b", image_path="a.png")], {"a.png": picture()})
    check(tmp_path, "a.zip", content, on_rows=lambda more, _: taken.extend(more))
    shown = orjson.loads(taken[0])["messages"][0]["content"][0]
    assert shown == {
        "type": "image", "digest": hashlib.sha256(picture()).hexdigest(), "media_type": "image/png", "width": 12,
        "height": 8,
    }  # fmt: skip
