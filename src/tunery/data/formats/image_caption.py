"""Image and caption: what a picture shows, in words, to teach making such pictures."""

from tunery.data.fields import as_object, blank, text_of
from tunery.data.pictures import is_picture, one_image
from tunery.data.rows import Captioned, Row, RowError
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Image and caption"
HELP = (
    "Images with captions: image (or image_path, file_name) and caption (or text), in a ZIP with the "
    "images. Of more than 2000 rows, 2000 are sampled at random."
)
ROW_KIND: RowKind = "captioned"
IMAGES = True
MOST_ROWS = 2000
EXAMPLE = '{"image": "images/pond.jpg", "caption": "A pond at dusk, in watercolour."}'

_IMAGES = ("image", "image_path", "file_name")
_CAPTIONS = ("caption", "text")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(
        name in record for name in ("conversations", "messages", "prompt")
    ):
        return None
    image = next((name for name in _IMAGES if name in record), None)
    caption = next((name for name in _CAPTIONS if isinstance(record.get(name), str)), None)
    # Plain text often comes with the name of the file it was taken from.
    if caption is None or image is None or (caption == "text" and not is_picture(record[image])):
        return None
    return f"records have the fields {image} and {caption}"


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    image = one_image(fields, _IMAGES)
    name = next((name for name in _CAPTIONS if name in fields), _CAPTIONS[0])
    caption = text_of(fields, name)
    if blank(caption):
        raise RowError("empty_caption", f"Describe the image in `{name}`.", field=name)
    return Captioned(image, caption)
