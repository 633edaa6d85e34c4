"""Rows of a version: searched, filtered, and as a model in training sees them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from tunery.api.paging import Offset, Version
from tunery.api.session import Reading
from tunery.data.rows import Role
from tunery.data.search import Query as RowQuery
from tunery.schemas.statistics import FoundRows, Seen
from tunery.services import rows

router = APIRouter(prefix="/datasets")

Having = Literal["duplicates", "empty", "short_answers", "refused"]
Bound = Annotated[int | None, Query(ge=0, le=2**62)]


@router.get("/{dataset}/versions/{version}/search")
def search_dataset_rows(
    ctx: Reading,
    dataset: str,
    version: Version,
    text: Annotated[str, Query(max_length=1000, description="Text to find in a turn, ignoring case.")] = "",
    role: Annotated[Role | None, Query(description="Only turns of this role, and the text in them.")] = None,
    min_characters: Bound = None,
    max_characters: Bound = None,
    min_tokens: Bound = None,
    max_tokens: Bound = None,
    language: Annotated[str | None, Query(max_length=16, description="ISO 639 code, or `unknown`.")] = None,
    having: Annotated[
        Having | None,
        Query(
            description="`duplicates` repeat an earlier row; `empty` have a turn without text; `short_answers` end "
            "with an answer of fewer than 10 characters; `refused` are rejected by the chat template."
        ),
    ] = None,
    base_model: Annotated[
        str | None,
        Query(description="Base model whose tokens are counted; none = that of the newest statistics."),
    ] = None,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="The most rows to return.")] = 20,
) -> FoundRows:
    """Rows that match all criteria. Tokens, language and `having` need the version's statistics."""
    query = RowQuery(
        text=text,
        role=role,
        min_characters=min_characters,
        max_characters=max_characters,
        min_tokens=min_tokens,
        max_tokens=max_tokens,
        language=language,
        having=having,
    )
    return rows.find(ctx, dataset, version, query, base_model=base_model, offset=offset, limit=limit)


@router.get("/{dataset}/versions/{version}/seen")
def see_dataset_rows(
    ctx: Reading,
    dataset: str,
    version: Version,
    base_model: Annotated[str, Query(description="A base model on this machine.")],
    method: Annotated[
        str | None, Query(description="A training method; none = the first that accepts such rows.")
    ] = None,
    max_sequence_length: Annotated[
        int | None, Query(ge=2, le=2**31, description="None = what the method recommends.")
    ] = None,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=20, description="The most rows to return.")] = 5,
) -> Seen:
    """Rows as the model sees them in training: chat template applied, what is trained on, what is cut off."""
    return rows.seen(
        ctx,
        dataset,
        version,
        base_model=base_model,
        method=method,
        max_sequence_length=max_sequence_length,
        offset=offset,
        limit=limit,
    )
