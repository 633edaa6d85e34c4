"""The parameters that lists share."""

from typing import Annotated

from fastapi import Path, Query

Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
After = Annotated[str | None, Query(max_length=64, description="Go on after the item with this id.")]
Offset = Annotated[int, Query(ge=0, le=2**62, description="How many rows to pass over.")]
Rows = Annotated[int, Query(ge=1, le=1000, description="How many rows at most.")]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of a version.")]
