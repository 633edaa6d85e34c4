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
    text: Annotated[str, Query(max_length=1000, description="Words in a turn; capitals don't matter.")] = "",
    role: Annotated[Role | None, Query(description="A turn of this role, and the words in it.")] = None,
    min_characters: Bound = None,
    max_characters: Bound = None,
    min_tokens: Bound = None,
    max_tokens: Bound = None,
    language: Annotated[str | None, Query(max_length=16, description="ISO 639 code, or `unknown`.")] = None,
    having: Annotated[
        Having | None,
        Query(
            description="`duplicates` repeat an earlier row; `empty` have a turn without words; `short_answers` end "
            "with fewer than 10 characters; `refused` are refused by the chat template."
        ),
    ] = None,
    base_model: Annotated[
        str | None, Query(description="Whose tokens are meant; none = the newest statistics'.")
    ] = None,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="How many rows at most.")] = 20,
) -> FoundRows:
    """Rows that fit all that is asked. Tokens, language and `having` need the version's statistics."""
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
        str | None, Query(description="A training method; none = the first that learns from such rows.")
    ] = None,
    max_sequence_length: Annotated[
        int | None, Query(ge=2, le=2**31, description="None = what the method recommends.")
    ] = None,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=20, description="How many rows at most.")] = 5,
) -> Seen:
    """Rows as a training sees them: chat template applied, what is learnt, what is cut off."""
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
