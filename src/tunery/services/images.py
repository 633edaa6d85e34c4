"""The images that rows of a dataset version show."""

from bisect import bisect_left

from tunery.core.errors import Problem
from tunery.data.magic import picture_type
from tunery.data.rows import MediaType
from tunery.data.store import VersionReader
from tunery.services.context import Context
from tunery.services.datasets import version_row


def read_image(ctx: Context, name: str, version: int, digest: str) -> tuple[bytes, MediaType]:
    """An image's bytes and what they are. Only of images that the version shows: a digest alone opens nothing.

    Raises Problem `not_found`.
    """
    found = version_row(ctx, name, version)
    shown = VersionReader(ctx.blobs, found.manifest).images() if found.manifest else []
    place = bisect_left(shown, digest)
    if place == len(shown) or shown[place] != digest:
        raise Problem(
            "not_found", noun="image", name=digest, list=f"tunery data show {name} --version {version}"
        )
    with ctx.blobs.open(digest) as file:
        content = file.read()
    return content, picture_type(content)
