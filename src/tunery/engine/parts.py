"""The loss of each dataset of a recipe: of a batch's examples, which came from where. Knows no model."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from tunery.methods.point import Loss


class Parts:
    """Datasets by the rows that they gave, in their order. One dataset alone has no curve of its own."""

    def __init__(self, curve: str, titles: Sequence[str], rows: Sequence[int]) -> None:
        """`curve`: what the curves' names begin with."""
        named = [(title, count) for title, count in zip(titles, rows, strict=True) if count]
        self._names = [f"{curve}/{title}" for title, _ in named] if len(named) > 1 else []
        self._ends = list(accumulate(count for _, count in named))

    def split(self, rows: Sequence[int], loss: Loss) -> dict[str, tuple[float, float]]:
        """Sum and weight of a batch's loss by dataset; `rows`: of its examples, in their order."""
        if not self._names or loss.by_example is None:
            return {}
        found: dict[str, tuple[float, float]] = {}
        for row, total, weight in zip(rows, *(part.tolist() for part in loss.by_example), strict=True):
            name = self._names[bisect_right(self._ends, row)]
            before = found.get(name, (0.0, 0.0))
            found[name] = (before[0] + total, before[1] + weight)
        return found
