"""Test rows that stand among the training rows: the same question, or nearly the same.

Holds the test rows, which are few; training rows pass by in any number. A leak is told, never refused.
"""

from collections import defaultdict
from collections.abc import Iterable

from tunery.data.questions import bands, digest, likeness, pieces, plain, question_of, sketch
from tunery.data.rows import Row, decode_row
from tunery.schemas.recipe import Leak, LeakReport

NEAR = 0.8
SHOWN = 20
_EXCERPT = 120
_SHORTEST = 20
"""Questions shorter than this are compared only as a whole: nearly every short one is near another."""


class TestQuestions:
    """Questions of test rows, found again by others that are the same or nearly so."""

    __test__ = False  # not a class of tests

    def __init__(self, likeness: float = NEAR) -> None:
        self._likeness = likeness
        self.texts: list[str] = []
        self._exact: dict[bytes, list[int]] = defaultdict(list)
        self._bands: dict[int, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, question: str) -> None:
        text = plain(question)
        at = len(self.texts)
        self.texts.append(text)
        self._exact[digest(text)].append(at)
        if self._likeness < 1 and len(text) >= _SHORTEST:
            for band in bands(sketch(pieces(text)).digest()):
                self._bands[band].append(at)

    def find(self, question: str) -> list[tuple[int, float]]:
        """Numbers of the test rows that ask this, with their likeness: 1 = the same."""
        text = plain(question)
        same = [(at, 1.0) for at in self._exact.get(digest(text), ())]
        if self._likeness >= 1 or len(text) < _SHORTEST:
            return same
        found = pieces(text)
        near = {at for band in bands(sketch(found).digest()) for at in self._bands.get(band, ())}
        near.difference_update(at for at, _ in same)
        measured = ((at, likeness(found, pieces(self.texts[at]))) for at in sorted(near))
        return same + [(at, min(round(alike, 3), 0.999)) for at, alike in measured if alike >= self._likeness]


class LeakCheck:
    """`test` every test row, `train` every training row, then `report`."""

    def __init__(self) -> None:
        self._asked = TestQuestions()
        self._places: list[tuple[str, int]] = []
        self._found: dict[int, Leak] = {}
        self._train_rows = 0
        self._complete = True

    @property
    def has_tests(self) -> bool:
        return bool(self._places)

    def test(self, dataset: str, lines: Iterable[tuple[int, bytes]]) -> None:
        """Note test rows with their numbers."""
        for number, line in lines:
            self._places.append((dataset, number))
            self._asked.add(question_of(decode_row(line)))

    def train(self, dataset: str, number: int, row: Row) -> None:
        """Compare a training row."""
        self._train_rows += 1
        for at, alike in self._asked.find(question_of(row)):
            known = self._found.get(at)
            if known is None or alike > known.likeness:
                test, test_row = self._places[at]
                self._found[at] = Leak(
                    kind="exact" if alike == 1 else "near",
                    likeness=alike,
                    train=dataset,
                    train_row=number,
                    test=test,
                    test_row=test_row,
                    excerpt=self._asked.texts[at][:_EXCERPT],
                )

    def stop(self) -> None:
        """Not all training rows were looked at."""
        self._complete = False

    def report(self) -> LeakReport | None:
        """What was found; None where nothing is tested on."""
        if not self.has_tests:
            return None
        rows = [self._found[at] for at in sorted(self._found)]
        rows.sort(key=lambda leak: leak.kind)
        return LeakReport(
            exact=sum(leak.kind == "exact" for leak in rows),
            near=sum(leak.kind == "near" for leak in rows),
            train_rows=self._train_rows,
            test_rows=len(self._places),
            complete=self._complete,
            rows=rows[:SHOWN],
        )


def sentence(report: LeakReport | None) -> str | None:
    """What a person should know of it; None where there is nothing to tell."""
    if report is None or not report.exact + report.near:
        return None
    kinds = ((report.exact, "ask what a training row asks"), (report.near, "ask nearly that"))
    said = " and ".join(f"{count:,} {what}" for count, what in kinds if count)
    looked = "" if report.complete else f" ({report.train_rows:,} training rows were looked at)"
    return (
        f"Of {report.test_rows:,} test rows, {said}{looked}: scores on them say how well the model remembers."
    )
