"""What a training goes through: which rows at which step, over all epochs, and their batches.

Where every row gives one example at most and rows aren't packed, the order follows from the number of rows, and rows
become tokens just before they are needed. Else it follows from the lengths of all examples, so all are made first.
"""

from collections.abc import Iterator

from tunery.engine.batches import Batch, Group, collate, plan_epoch, plan_rows, steps_of
from tunery.engine.feed import Feed, Planned
from tunery.engine.tokens import TokenStore
from tunery.methods.point import Method, gives_one_example
from tunery.schemas.settings import TrainingSettings


class Course:
    """The steps of a training on one store."""

    def __init__(self, store: TokenStore, method: Method, settings: TrainingSettings) -> None:
        self._store = store
        self._settings = settings
        self.at_least = 2 if "mismatched" in method.NEEDS else 1
        """Examples in a batch."""
        judged_before = not method.NEEDS.isdisjoint({"reference", "mismatched"})
        self.by_rows = gives_one_example(method) and not settings.packing and not judged_before
        """Training may begin before all rows are tokens."""

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        each = (
            steps_of(len(self._groups(epoch)), self._accumulate) for epoch in range(self._settings.epochs)
        )
        if self.by_rows:
            first = next(each)
            steps = first * self._settings.epochs
        else:
            steps = sum(each)
        return steps if self._settings.max_steps == -1 else min(steps, self._settings.max_steps)

    def feed(self, epoch: int, batch: int) -> Feed:
        """The steps from group `batch` of an epoch on."""
        return Feed(self._planned(epoch, batch), self._batches)

    @property
    def _accumulate(self) -> int:
        return self._settings.accumulation

    def _planned(self, epoch: int, batch: int) -> Iterator[Planned]:
        for number in range(epoch, self._settings.epochs):
            groups = self._groups(number)
            for at in range(batch, len(groups), self._accumulate):
                yield Planned(number, at, groups[at : at + self._accumulate], len(groups))
            batch = 0

    def _groups(self, epoch: int) -> list[Group]:
        settings, store = self._settings, self._store
        if self.by_rows:
            return plan_rows(store.rows, seed=settings.seed, epoch=epoch, batch_size=settings.batch_size)
        return plan_epoch(
            store.lengths,
            seed=settings.seed,
            epoch=epoch,
            batch_size=settings.batch_size,
            pack_to=settings.max_sequence_length if settings.packing else None,
            at_least=self.at_least,
        )

    def _batches(self, planned: Planned) -> list[Batch]:
        """Those that hold anything. Raises Problem `no_supervised_tokens` where no row does."""
        groups = planned.groups
        if self.by_rows:
            groups = [self._store.need(rows) for rows in groups]
            self._store.refuse_nothing()
        return [collate(self._store, group) for group in groups if group]
