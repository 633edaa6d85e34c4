"""Puts pictures in the place of their names: from the archive that the rows came in, or from the row itself.

A name is looked up among the members of the archive and is never a path on this machine; nothing is fetched from
anywhere. It doesn't know formats.
"""

import base64
import binascii
import hashlib
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote_to_bytes
from zipfile import BadZipFile, ZipFile, ZipInfo

from tunery.data.rows import (
    Captioned,
    Conversation,
    ImagePart,
    Labelled,
    Message,
    NamedImage,
    Part,
    Preference,
    Row,
    RowError,
    Text,
)

OnImage = Callable[[str, bytes], None]
"""Gets the digest and bytes of every picture."""
MAX_HELD = 12 << 20
"""Length of a data: address; several copies of it are made on the way to its bytes."""
_PACK = "Pack the rows and their images into one ZIP, and name each image by its path in it."
_SCHEMES = ("http:", "https:", "ftp:", "file:", "s3:", "gs:", "gopher:", "//")


class Album:
    """The pictures in one archive, which stays open. What is read at once is one picture."""

    def __init__(self, path: Path, infos: Sequence[ZipInfo]) -> None:
        self._archive = ZipFile(path)
        self._members: dict[str, ZipInfo] = {}
        self._called: dict[str, list[ZipInfo]] = {}
        self._stems: dict[str, list[ZipInfo]] = {}
        for info in infos:
            key = _key(info.filename)
            self._members[key] = info
            self._called.setdefault(key.rpartition("/")[2], []).append(info)
            self._stems.setdefault(key.rpartition(".")[0], []).append(info)

    def close(self) -> None:
        """Let go of the archive."""
        self._archive.close()

    def beside(self, member: str) -> str | None:
        """The one picture whose path is that of this member but for the ending."""
        kin = self._stems.get(_key(member).rpartition(".")[0], ())
        return kin[0].filename if len(kin) == 1 else None

    def member(self, named: NamedImage, folder: str) -> ZipInfo:
        """By its path from the rows' folder, from the root, or where just one picture's path ends so.

        Raises RowError.
        """
        steps = [step for step in _key(named.name).split("/") if step not in ("", ".")]
        if named.name.startswith(("/", "\\")) or ".." in steps or not steps or ":" in steps[0]:
            fix = f"Name the image by its path inside the archive. {_PACK}"
            raise RowError("image_outside", fix, field=named.field, found=named.name)
        path = "/".join(steps)
        info = (folder and self._members.get(f"{folder}/{path}")) or self._members.get(path)
        if info:
            return info
        alike = [one for one in self._called.get(steps[-1], []) if _key(one.filename).endswith(f"/{path}")]
        if len(alike) == 1:
            return alike[0]
        fix = "Several images in the archive have this name; give the full path."
        if not alike:
            fix = f"The archive has no such image. {_PACK}"
        raise RowError("image_missing", fix, field=named.field, found=named.name)

    def unpack(self, info: ZipInfo, field: str) -> bytes:
        """A picture's bytes. Raises RowError."""
        from tunery.data.images import MAX_BYTES, too_large

        if info.file_size > MAX_BYTES:
            raise too_large(info.file_size, field)
        try:
            with self._archive.open(info) as file:
                return file.read(MAX_BYTES + 1)
        except (BadZipFile, EOFError, zlib.error) as error:
            fix = f"The image can't be unpacked; pack it again ({' '.join(str(error).split())[:120]})."
            raise RowError("image_broken", fix, field=field, found=info.filename) from error


class Images:
    """The pictures that files bring along with their rows."""

    def __init__(self, on_image: OnImage | None = None) -> None:
        self._on_image = on_image
        self._albums: list[Album] = []
        self._album: Album | None = None
        self._places: dict[str, tuple[Album, str]] = {}
        """Album and folder of the files that rows stand in, as reports call them."""
        self._known: dict[tuple[Album, str], ImagePart] = {}

    def __enter__(self) -> "Images":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for album in self._albums:
            album.close()

    def archive(self, path: Path, infos: Sequence[ZipInfo]) -> None:
        """An archive is begun that holds these pictures."""
        self._album = Album(path, infos) if infos else None
        if self._album:
            self._albums.append(self._album)

    def rows_in(self, label: str, member: str) -> str | None:
        """Rows of the file called `label` in reports stand in this member of the archive.

        Gives the picture that lies beside it under the same name, where there is one.
        """
        if self._album is None:
            return None
        self._places[label] = (self._album, _key(member).rpartition("/")[0])
        return self._album.beside(member)

    def attach(self, row: Row, label: str) -> Row:
        """The row with its pictures. `label`: the file it stands in. Raises RowError."""
        if isinstance(row, Text):
            return row
        if isinstance(row, Captioned):
            if not isinstance(row.image, NamedImage):
                return row
            return Captioned(self._find(row.image, label), row.caption)
        if not any(_names_any(message) for message in row.messages):
            return row
        messages = tuple(self._attached(message, label) for message in row.messages)
        if isinstance(row, Preference):
            return Preference(messages, row.answers, row.tools)
        if isinstance(row, Conversation):
            return Conversation(messages, row.tools)
        assert isinstance(row, Labelled)
        return Labelled(messages, row.label, row.tools)

    def _attached(self, message: Message, label: str) -> Message:
        if not _names_any(message):
            return message
        parts: Sequence[Part] = [
            self._find(part, label) if isinstance(part, NamedImage) else part for part in message.content
        ]
        return Message(message.role, tuple(parts))

    def _find(self, named: NamedImage, label: str) -> ImagePart:
        if named.name.startswith("data:"):
            return self._take(_held(named), named.field)
        if named.name[:8].lower().startswith(_SCHEMES):
            fix = f"Images aren't downloaded from elsewhere. {_PACK}"
            raise RowError("image_elsewhere", fix, field=named.field, found=named.name)
        if label not in self._places:
            raise RowError("image_missing", _PACK, field=named.field, found=named.name)
        album, folder = self._places[label]
        info = album.member(named, folder)
        part = self._known.get((album, info.filename))
        if part is None:
            part = self._take(album.unpack(info, named.field), named.field)
            self._known[album, info.filename] = part
        return part

    def _take(self, content: bytes, field: str) -> ImagePart:
        # Pillow is loaded by the first picture, not by every check of text.
        from tunery.data.images import read_picture

        picture = read_picture(content, field)
        digest = hashlib.sha256(content).hexdigest()
        if self._on_image:
            self._on_image(digest, content)
        return ImagePart(digest, *picture)


def _names_any(message: Message) -> bool:
    return any(type(part) is NamedImage for part in message.content)


def _held(named: NamedImage) -> bytes:
    """The bytes in a data: address. Raises RowError."""
    if len(named.name) > MAX_HELD:
        fix = f"A row can hold at most {MAX_HELD >> 20} MiB of images. {_PACK}"
        raise RowError("image_too_large", fix, field=named.field, found=f"{len(named.name)} bytes of base64")
    about, comma, text = named.name.partition(",")
    try:
        if not comma:
            raise ValueError("there is no comma")
        return base64.b64decode(text, validate=True) if about.endswith(";base64") else unquote_to_bytes(text)
    except (binascii.Error, ValueError) as error:
        fix = f"Write the image as data:image/png;base64,… ({error})."
        raise RowError("image_broken", fix, field=named.field, found=named.name[:80]) from error


def _key(name: str) -> str:
    """Names that the same file could have on other systems are one."""
    return unicodedata.normalize("NFC", name).casefold().replace("\\", "/")
