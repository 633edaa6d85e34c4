"""Archives and compressed files that would lead out, swell, lie or hide something: cases 1 to 8."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import zstandard

from bench.hostile.case import MB, ROW, Case, Refused, written, zipped


def _typed(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def _twins(one: str, two: str) -> bytes:
    """An archive of two files; the second's name is changed afterwards, so that no tool can object."""
    held = zipped((one, ROW), ("?" * len(two.encode()), ROW))
    flagged = bytearray(held.replace(b"?" * len(two.encode()), two.encode()))
    at = flagged.rindex(b"PK\x01\x02")
    flagged[at + 9] |= 8
    flagged[struct.unpack_from("<L", flagged, at + 42)[0] + 7] |= 8
    return bytes(flagged)


def _patched(content: bytes, offset: int, form: str, value: int) -> bytes:
    """With a field of the last directory entry changed."""
    changed = bytearray(content)
    struct.pack_into(form, changed, changed.rindex(b"PK\x01\x02") + offset, value)
    return bytes(changed)


def archives(scale: float) -> Iterable[Case]:
    paths = [
        "../../up.jsonl",
        "/abs.jsonl",
        "..\\..\\up.jsonl",
        "C:\\up.jsonl",
        "a/../../up.jsonl",
        "../up.png",
    ]
    for path in paths:
        made = zipped(("a.jsonl", ROW), (path, ROW))
        yield Case(1, f"path {path}", "a.zip", written(made), Refused("outside the archive"))
    nul = zipped(("aXb.jsonl", ROW)).replace(b"aXb", b"a\0b")
    yield Case(1, "NUL in a name", "a.zip", written(nul), Refused("control characters"))
    size = max(33, int(200 * scale) + 33) * MB
    yield Case(
        2,
        "spaces a thousand times",
        "a.zip",
        written(zipped(("a.jsonl", b" " * size))),
        Refused("times its size"),
    )
    text = b'{"text": "' + b"x" * size + b'"}'
    yield Case(
        2, "one row a thousand times", "a.zip", written(zipped(("a.jsonl", text))), Refused("times its size")
    )
    two = zipped(("a.jsonl", ROW * 50), ("b.jsonl", ROW * 50))
    yield Case(2, "overlapping", "a.zip", written(_patched(two, 42, "<L", 0)), Refused("overlaps"))
    nested = zipped(("a.json", zipped(("b.json", b"[]"))))
    yield Case(2, "a ZIP in a ZIP", "a.zip", written(nested), Refused("another archive"))
    for title, mode in (("symbolic link", 0o120777), ("block device", 0o060644), ("pipe", 0o010644)):
        made = zipped((_typed("a.jsonl", mode), b"/etc/passwd"))
        yield Case(3, title, "a.zip", written(made), Refused("link or device"))
    for one, other in (("a.jsonl", "a.jsonl"), ("a.jsonl", "A.jsonl"), ("é.json", "e\u0301.json")):
        yield Case(4, f"two of one name, {one}", "a.zip", written(_twins(one, other)), Refused("same name"))
    many = max(20_001, int(1_000_000 * scale))
    yield Case(5, f"{many} members", "a.zip", lambda path: _crowd(path, many), Refused("20,000 files"))
    honest = zipped(("a.jsonl", ROW * 500))
    for title, offset in (("checksum", 16), ("packed size", 20), ("size", 24)):
        yield Case(
            6, f"lies about its {title}", "a.zip", written(_patched(honest, offset, "<L", 7)), Refused("")
        )
    locked = bytearray(_patched(honest, 8, "<H", 1))
    locked[6] |= 1
    yield Case(7, "encrypted", "a.zip", written(bytes(locked)), Refused("encrypted"))
    cut = zipped(("a.jsonl", ROW * 9000))[:-30]
    yield Case(7, "cut off", "a.zip", written(cut), Refused("damaged"))


def _crowd(path: Path, count: int) -> None:
    """An archive of many empty files, written by hand: no library makes one in reasonable time."""
    with path.open("wb") as file:
        local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, 9, 0)
        file.writelines(local + b"%05x.txt" % number for number in range(count))
        start = file.tell()
        for number in range(count):
            entry = struct.pack(
                "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 9, 0, 0, 0, 0, 0, number * 39
            )
            file.write(entry + b"%05x.txt" % number)
        length = file.tell() - start
        few = min(count, 0xFFFF)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, few, few, length, start, 0))


def packed(scale: float) -> Iterable[Case]:
    size = max(33, int(400 * scale) + 33) * MB
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("../a.jsonl")
        info.size = len(ROW)
        archive.addfile(info, io.BytesIO(ROW))
    tar = out.getvalue()
    yield Case(8, "tar", "a.tar", written(tar), Refused("tar archive"))
    yield Case(8, "tar.gz", "a.jsonl.gz", written(gzip.compress(tar)), Refused("tar archive"))
    yield Case(8, "gzip bomb", "a.jsonl.gz", lambda path: _gzip_bomb(path, size), Refused("times its size"))
    yield Case(
        8, "zstd bomb", "a.jsonl.zst", written(zstandard.compress(b" " * size)), Refused("times its size")
    )
    double = gzip.compress(gzip.compress(ROW * 100))
    yield Case(8, "gzip in gzip", "a.jsonl.gz", written(double), Refused("another archive"))
    cut = zstandard.compress(ROW * 9000)[:-5]
    yield Case(8, "cut zstd", "a.jsonl.zst", written(cut), Refused("damaged"))
    for name, magic in (("7z", b"7z\xbc\xaf\x27\x1c"), ("rar", b"Rar!\x1a\x07"), ("xz", b"\xfd7zXZ\x00")):
        yield Case(8, name, "a.jsonl", written(magic + b"\0" * 60), Refused(""))


def _gzip_bomb(path: Path, size: int) -> None:
    with gzip.open(path, "wb", 9) as file:
        file.write(b'{"text": "')
        for _ in range(size // MB):
            file.write(b"x" * MB)
