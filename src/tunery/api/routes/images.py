"""Images that rows show."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from tunery.api.paging import Version
from tunery.api.session import Reading
from tunery.services import images

router = APIRouter(prefix="/datasets")

Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="As the row's image part names it.")]


@router.get(
    "/{dataset}/versions/{version}/images/{digest}",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in ("image/png", "image/jpeg", "image/webp")}}},
)
def read_dataset_image(ctx: Reading, dataset: str, version: Version, digest: Digest) -> Response:
    """An image that rows of the version show."""
    content, media_type = images.read_image(ctx, dataset, version, digest)
    return Response(content, media_type=media_type)
