"""The parameters that lists share."""

from typing import Annotated

from fastapi import Path, Query

Limit = Annotated[int, Query(ge=1, le=100, description="The most items to return.")]
After = Annotated[str | None, Query(max_length=64, description="Continue after the item with this id.")]
Offset = Annotated[int, Query(ge=0, le=2**62, description="How many rows to skip.")]
Rows = Annotated[int, Query(ge=1, le=1000, description="The most rows to return.")]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Version number.")]
