"""What a file is by its first bytes; what can't be read is refused in words that help."""

from typing import BinaryIO, Literal

from tunery.core.errors import Problem, Where
from tunery.data.rows import MediaType

Kind = Literal["text", "zip", "gzip", "zstd", "parquet"]

_HEAD = 512
_READ: dict[bytes, Kind] = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PAR1": "parquet",
}  # fmt: skip
_REFUSED = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "it is an old Office document; save it as CSV",
    b"ARROW1": "it is an Arrow file; save it as Parquet",
    b"%PDF": "it is a PDF; save its text as .txt",
    b"SQLite format 3\x00": "it is an SQLite database; export the table as CSV",
    b"7z\xbc\xaf\x27\x1c": "it is a 7-Zip archive; pack it as ZIP",
    b"Rar!\x1a\x07": "it is a RAR archive; pack it as ZIP",
    b"\xfd7zXZ\x00": "it is compressed with xz; use gzip or zstd",
    b"\x04\x22\x4d\x18": "it is compressed with lz4; use gzip or zstd",
    b"\x89PNG": "it is an image",
    b"\xff\xd8\xff": "it is an image",
    b"GIF87a": "it is an image",
    b"GIF89a": "it is an image",
    b"Obj\x01": "it is an Avro file; save it as Parquet or JSONL",
    **{b"BZh%d1AY&SY" % level: "it is compressed with bzip2; use gzip or zstd" for level in range(1, 10)},
}
_TAR = b"ustar"
_TAR_AT = 257
_PACKED_ENDINGS = (".gz", ".gzip", ".zst", ".zstd")


def kind_of(content: BinaryIO | bytes, name: str) -> Kind:
    """By the beginning of a file (which is rewound) or of its bytes. Raises Problem `file_unreadable`."""
    if isinstance(content, bytes):
        head = content[:_HEAD]
    else:
        head = content.read(_HEAD)
        content.seek(0)
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        detail = "it is a tar archive; pack the files as ZIP, or import each one separately"
        raise Problem("file_unreadable", where=Where(file=name), path=name, detail=detail)
    for magic, detail in _REFUSED.items():
        if head.startswith(magic):
            raise Problem("file_unreadable", where=Where(file=name), path=name, detail=detail)
    for magic, kind in _READ.items():
        if head.startswith(magic):
            return kind
    return "text"


def picture_type(content: bytes) -> MediaType:
    """Of a picture that was read before, and so is one of three kinds."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/webp" if content.startswith(b"RIFF") else "image/jpeg"


def stem(name: str) -> str:
    """The name without the ending of a compressed file."""
    lowered = name.lower()
    return next((name[: -len(end)] for end in _PACKED_ENDINGS if lowered.endswith(end)), name)
