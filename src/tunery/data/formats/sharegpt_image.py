"""ShareGPT with images: `{conversations: [{from, value}], image_path}`, in a ZIP with the images it names."""

from tunery.data.fields import as_object
from tunery.data.pictures import images_in, names_images
from tunery.data.rows import Row, RowError
from tunery.data.spelling import talk_in
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "ShareGPT with images"
HELP = (
    "A ZIP of train.json and a folder of images. Each row has conversations and image_path (or images, a list); "
    "<image> in a question marks where an image goes; by default, it goes before the first question."
)
ROW_KIND: RowKind = "conversation"
IMAGES = True
EXAMPLE = (
    '{"conversations": [{"from": "human", "value": "<image>What is this?"}, {"from": "gpt", "value": "A pond."}], '
    '"image_path": "images/pond.jpg"}'
)


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in ("chosen", "rejected", "label")):
        return None
    turns = record.get("conversations")
    name = names_images(record)
    if name and isinstance(turns, list) and turns and isinstance(turns[0], dict) and "from" in turns[0]:
        return f"records have a `conversations` list and the field {name}"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    if not images_in(fields):
        fix = "Put the path of the row's image into `image_path`; import rows without images as ShareGPT."
        raise RowError("field_missing", fix, field="image_path", found=sorted(fields)[:20])
    return talk_in(fields, "conversations")
