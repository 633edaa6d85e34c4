"""Notices a step whose loss stands out, while the rows it was made of are still known. Knows no torch.

What it means is for the diagnosis to say; this only keeps what couldn't be told afterwards.
"""

from collections import deque
from statistics import median

_REMEMBERED = 20
_FEWEST = 5
_TIMES = 1.4
"""So many times the usual loss; below what counts as a spike, so that every spike finds its rows."""
_NOISES = 5


class Lookout:
    """Remembers the newest losses. After a restart it begins anew, and says nothing for the first steps."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=_REMEMBERED)

    def above(self, loss: float) -> float | None:
        """The usual loss, where this one stands out from it; else None."""
        known = list(self._losses)
        self._losses.append(loss)
        if len(known) < _FEWEST:
            return None
        usual = median(known)
        noise = median(abs(one - usual) for one in known)
        return usual if loss - usual > max((_TIMES - 1) * abs(usual), _NOISES * noise) else None
