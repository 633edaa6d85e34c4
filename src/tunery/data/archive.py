"""The files in a ZIP archive, read where they lie. Nothing is extracted: names are labels and never paths.

Whatever could fool a reader (two members of one name, links, sizes that lie, an archive in the archive) makes the
whole archive refused, before any row of it is read where the directory already shows it.
"""

import posixpath
import re
import stat
import struct
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tunery.core.errors import Problem, Where
from tunery.data.pictures import ENDINGS as IMAGES

MAX_MEMBERS = 20_000
MAX_DIRECTORY = 4 << 20
"""Bytes of the list of members; it is read at once."""
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LOCAL_HEADER = 30
_ENDINGS = (".json", ".jsonl", ".ndjson", ".txt", ".csv", ".tsv")
_DRIVE = re.compile("[A-Za-z]:")
_LITTER = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_OFFICE = "[content_types].xml"
REGISTRY = "dataset_info.json"
"""LLaMA-Factory's list of datasets. Where it lies, the files aren't rows of one dataset."""


@dataclass(frozen=True)
class Member:
    """One file of the archive."""

    label: str
    """What it is called in reports."""
    file_name: str
    packed: int
    before: int
    """Packed bytes of the members before it."""
    archive: ZipFile
    info: ZipInfo

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes. Raises BadZipFile when they aren't what the directory says, at their end."""
        with self.archive.open(self.info) as file:
            yield file
            if file.tell() != self.info.file_size:
                raise BadZipFile(f"{self.label} has a different size than the archive says")


def members(
    file: BinaryIO, name: str, on_images: Callable[[list[ZipInfo]], None] = lambda _: None
) -> Iterator[Member]:
    """The members that hold rows, in the order of the archive's directory. `on_images` gets the pictures before.

    Raises Problem `file_unreadable` or `registry_in_archive`.
    """
    size = _check_directory(file, name)
    with ZipFile(file) as archive:
        entries = [info for info in archive.infolist() if not _litter(info)]
        _check(entries, name, size)
        on_images([info for info in entries if _is_image(info)])
        before = 0
        for info in entries:
            if _is_image(info):
                continue
            label = f"{name}/{label_of(info.filename)}"
            yield Member(label, info.filename, info.compress_size, before, archive, info)
            before += info.compress_size


def label_of(name: str) -> str:
    """A foreign name, so that it can be shown: nothing invisible, nothing that turns the direction of writing."""
    return "".join(
        f"\\u{ord(sign):04x}" if unicodedata.category(sign).startswith("C") else sign for sign in name
    )


def _check_directory(file: BinaryIO, name: str) -> int:
    """Refuse a directory too long to be read, before anything reads it; gives the size of the archive."""
    size = file.seek(0, 2)
    start = max(0, size - _END.size - (1 << 16))
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise BadZipFile("the list of its members is missing; it may be cut off")
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, at)
    where = start + at - _LOCATOR.size
    if where >= 0:
        file.seek(where)
        signature, _, position, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if signature == b"PK\x06\x07" and position + _END64.size <= size:
            file.seek(position)
            end = _END64.unpack(file.read(_END64.size))
            count, length = max(count, end[7]), max(length, end[8])
    file.seek(0)
    if count > MAX_MEMBERS or length > MAX_DIRECTORY:
        raise _refused(name, f"it holds more than {MAX_MEMBERS:,} files; put the rows into fewer")
    return size


def _check(entries: list[ZipInfo], name: str, size: int) -> None:
    """Refuse what no honest archive of rows holds."""
    if any(info.filename.lower() == _OFFICE for info in entries):
        raise _refused(name, "it is an Office document; save the sheet as CSV")
    if len(entries) > MAX_MEMBERS:
        raise _refused(name, f"it holds more than {MAX_MEMBERS:,} files; put the rows into fewer")
    if not entries:
        raise _refused(name, "it is an empty archive")
    if any(posixpath.basename(info.filename) == REGISTRY for info in entries):
        raise Problem("registry_in_archive", where=Where(file=name), path=name, file=REGISTRY)
    seen: dict[str, str] = {}
    for info in entries:
        label = label_of(info.filename)
        _check_entry(info, label, name)
        twin = seen.setdefault(unicodedata.normalize("NFC", info.filename).casefold(), label)
        if twin is not label:
            raise _refused(name, f"it contains two files with the same name (“{twin}”); rename one")
    by_place = sorted(entries, key=lambda info: info.header_offset)
    ends = [info.header_offset for info in by_place[1:]] + [size]
    for info, end in zip(by_place, ends, strict=True):
        if info.header_offset + _LOCAL_HEADER + info.compress_size > end:
            raise _refused(name, f"its member “{label_of(info.filename)}” overlaps another; pack it again")


def _check_entry(info: ZipInfo, label: str, name: str) -> None:
    steps = info.orig_filename.replace("\\", "/").split("/")
    if ".." in steps or not steps[0] or _DRIVE.match(steps[0]):
        raise _refused(name, f"its member “{label}” has a path outside the archive; pack it again")
    if any(unicodedata.category(sign) == "Cc" for sign in info.orig_filename):
        shown = label_of(info.orig_filename)
        raise _refused(name, f"the name of its member “{shown}” contains control characters; rename it")
    mode = info.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise _refused(name, f"its member “{label}” is a link or device, not a file")
    if info.flag_bits & 0x1:
        raise _refused(name, f"its member “{label}” is encrypted; pack it without a password")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise _refused(name, f"its member “{label}” uses an unusual compression method; use deflate")
    if not info.filename.lower().endswith(_ENDINGS) and not _is_image(info):
        kinds = ", ".join(_ENDINGS)
        raise _refused(name, f"its member “{label}” is none of {kinds}, nor an image; remove it")


def _is_image(info: ZipInfo) -> bool:
    return info.filename.lower().endswith(IMAGES)


def _litter(info: ZipInfo) -> bool:
    """Folders, and what file managers leave behind."""
    parts = info.filename.lower().replace("\\", "/").split("/")
    return info.is_dir() or parts[0] == "__macosx" or parts[-1] in _LITTER


def _refused(name: str, detail: str) -> Problem:
    return Problem("file_unreadable", where=Where(file=name), path=name, detail=detail)
