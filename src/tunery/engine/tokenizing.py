"""The tokens of a training's rows: found where they were kept, else made, and kept once all are there.

What the rows came to is said once. It doesn't know in which order anyone needs them.
"""

from collections.abc import Sequence
from pathlib import Path

from tunery.data.rows import Row
from tunery.engine.events import Events
from tunery.engine.inputs import TrainInputs
from tunery.engine.token_cache import TokenCache, key_of
from tunery.engine.tokens import TokenStore, nameless, open_store


class Tokenizing:
    """One set of rows on its way."""

    def __init__(
        self,
        stage: str,
        rows: Sequence[Row],
        files: Sequence[str],
        inputs: TrainInputs,
        events: Events,
        *,
        aside: Path,
        cache: TokenCache | None,
    ) -> None:
        """`stage` names it to people; `aside`: a folder to work in; `cache`: where tokens are kept, if anywhere."""
        self._stage, self._events, self._cache = stage, events, cache
        self._limit = inputs.settings.max_sequence_length
        self._told = False
        self._key = "" if cache is None else key_of(inputs, [Path(file) for file in files])
        kept = None if cache is None else cache.find(self._key, len(rows))
        self._keep = kept is None
        self.store: TokenStore = kept or open_store(
            rows, inputs.method, inputs.renderer, inputs.settings, nameless(aside)
        )
        self.look()

    def fill(self) -> TokenStore:
        """Make all that are missing. Raises Problem `no_supervised_tokens`."""
        self.store.fill(lambda done, total: self._events.progress(self._stage, done, total))
        self.store.refuse_nothing()
        self.look()
        return self.store

    def look(self) -> None:
        """Where all rows are tokens now, say what they came to, and keep them."""
        if self._told or not self.store.complete:
            return
        self._told = True
        counts = self.store.counts
        self._events.write(
            "tokenized",
            stage=self._stage,
            tokens=counts.tokens,
            supervised_tokens=counts.supervised,
            dropped_rows=counts.dropped,
            cut_rows=counts.cut,
        )
        if counts.cut:
            message = f"{counts.cut} rows are longer than {self._limit} tokens and were cut."
            self._events.log(message, "warning")
        if counts.dropped:
            message = f"{counts.dropped} rows contain nothing to train on and are left out."
            self._events.log(message, "warning")
        if self._cache is not None and self._keep:
            self._cache.keep(self._key, self.store)
