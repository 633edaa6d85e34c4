"""The bytes of a picture -> what is known of it, once every pixel was read; or the rule that they break.

What is claimed is looked at before anything is unpacked: kind, size, frames. It doesn't know where bytes come from.
A picture stays as it came; whoever shows or trains on it turns it as its EXIF orientation says.
"""

import io
import struct
import warnings
from typing import NamedTuple

from PIL import Image, JpegImagePlugin

from tunery.data.rows import MediaType, RowError

MAX_BYTES = 32 << 20
MAX_SIDE = 16_384
MAX_DECODED = 160 << 20
"""Memory that reading a picture may take."""
_TYPES: dict[str, MediaType] = {
    "PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp",
}  # fmt: skip
_OPENED = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Pillow tries no others. A JPEG with more than one picture calls itself MPO once it is open."""
_PIXEL_BYTES = {"PNG": 4, "JPEG": 1, "MPO": 1, "WEBP": 12}
"""What decoding holds of each pixel. Of a JPEG that isn't progressive, an eighth is enough to see all its bytes."""
_PROGRESSIVE = 6
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_KINDS = "PNG, JPEG or WebP"


class Picture(NamedTuple):
    """A picture that can be shown and learnt from. Width and height are those of it upright."""

    media_type: MediaType
    width: int
    height: int


def read_picture(content: bytes, field: str) -> Picture:
    """Read a picture to its last pixel. Raises RowError; `field` names it in the report."""
    if len(content) > MAX_BYTES:
        raise too_large(len(content), field)
    # The sizes a WebP file claims are believed by its library as soon as it is opened.
    if (claimed := _webp_size(content)) is not None:
        _check_size(*claimed, _PIXEL_BYTES["WEBP"], field)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _read(content, field)
        except RowError:
            raise
        except Image.DecompressionBombError as error:
            fix = f"Scale the image down to at most {MAX_SIDE} pixels a side."
            raise RowError("image_too_many_pixels", fix, field=field) from error
        except Exception as error:
            # Decoders of foreign bytes raise whatever they happen upon: struct.error, KeyError, SyntaxError …
            fix = f"The image is damaged or cut off; send the complete file ({' '.join(str(error).split())[:120]})."
            raise RowError("image_broken", fix, field=field) from error


def too_large(size: int, field: str) -> RowError:
    """The refusal of a picture whose bytes aren't even read."""
    fix = f"Make the image smaller; {MAX_BYTES >> 20} MiB is the limit."
    return RowError("image_too_large", fix, field=field, found=f"{size} bytes")


def _read(content: bytes, field: str) -> Picture:
    try:
        image = Image.open(io.BytesIO(content), formats=_OPENED)
    except Image.UnidentifiedImageError as error:
        found = content[:80].decode("utf-8", "replace")
        raise RowError("not_an_image", f"Provide the image as {_KINDS}.", field=field, found=found) from error
    with image:
        kind = image.format or ""
        if kind not in _TYPES:
            raise RowError("image_kind", f"Save the image as {_KINDS}.", field=field, found=kind)
        # Cameras put a second, smaller picture behind the first; the first is the picture.
        if kind != "MPO" and getattr(image, "is_animated", False):
            raise RowError("image_animated", "Save one frame as a still image.", field=field, found=kind)
        if image.mode not in _MODES:
            fix = "Save the image with 8 bits a channel, in grey or RGB."
            raise RowError("image_mode", fix, field=field, found=f"{kind}, mode {image.mode}")
        width, height = image.size
        progressive = isinstance(image, JpegImagePlugin.JpegImageFile) and "progressive" in image.info
        _check_size(width, height, _PROGRESSIVE if progressive else _PIXEL_BYTES[kind], field)
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            image.draft(None, (max(1, width // 8), max(1, height // 8)))
        image.load()
        if image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        return Picture(_TYPES[kind], width, height)


def _check_size(width: int, height: int, pixel_bytes: int, field: str) -> None:
    if max(width, height) > MAX_SIDE or width * height * pixel_bytes > MAX_DECODED:
        most = MAX_DECODED // pixel_bytes // 1_000_000
        fix = f"Scale the image down to {most} million pixels, {MAX_SIDE} a side, or less."
        raise RowError("image_too_many_pixels", fix, field=field, found=f"{width} × {height} pixels")


def _webp_size(content: bytes) -> tuple[int, int] | None:
    """What the first chunk of a WebP file says of its size."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < 30:
        return None
    kind = content[12:16]
    if kind == b"VP8X":
        wide, high = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        return wide, high
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    wide, high = struct.unpack_from("<HH", content, 26)
    return wide & 0x3FFF, high & 0x3FFF
