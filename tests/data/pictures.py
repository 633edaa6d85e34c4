"""Pictures made on the spot, and archives of rows that name them."""

import io
from typing import Any

import orjson
from PIL import Image

from tests.data.test_containers import as_zip


def picture(kind: str = "PNG", size: tuple[int, int] = (12, 8), mode: str = "RGB", **options: Any) -> bytes:
    """A picture with a gradient in it."""
    grey = Image.linear_gradient("L").resize(size)
    out = io.BytesIO()
    grey.convert(mode).save(out, kind, **options)
    return out.getvalue()


def archive(records: list[dict[str, Any]], images: dict[str, bytes], rows: str = "train.json") -> bytes:
    """A ZIP of rows and the images they name."""
    return as_zip({rows: orjson.dumps(records), **images})
