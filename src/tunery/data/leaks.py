"""Test rows that stand among the training rows: the same question, or nearly the same.

Holds the test rows, which are few; training rows pass by in any number. A leak is told, never refused.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from tunery.data.questions import bands, digest, likeness, pieces, plain, question_of, sketch
from tunery.data.rows import Row, decode_row
from tunery.schemas.recipe import Leak, LeakCount, LeakReport

Role = Literal["validation", "held_out"]

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
        self._places: list[tuple[int, int]] = []
        self._tests: list[LeakCount] = []
        self._found: dict[int, Leak] = {}
        self._train_rows = 0
        self._complete = True

    @property
    def has_tests(self) -> bool:
        return bool(self._places)

    def test(self, role: Role, dataset: str, lines: Iterable[tuple[int, bytes]]) -> None:
        """Note test rows with their numbers."""
        before = len(self._places)
        for number, line in lines:
            self._places.append((len(self._tests), number))
            self._asked.add(question_of(decode_row(line)))
        if rows := len(self._places) - before:
            self._tests.append(LeakCount(dataset=dataset, role=role, rows=rows))

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
                    test=self._tests[test].dataset,
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
        for place, one in enumerate(self._tests):
            kinds = [leak.kind for at, leak in self._found.items() if self._places[at][0] == place]
            one.exact, one.near = kinds.count("exact"), kinds.count("near")
            one.message = _sentence(one, None if self._complete else self._train_rows)
        rows = [self._found[at] for at in sorted(self._found)]
        rows.sort(key=lambda leak: leak.kind)
        return LeakReport(
            exact=sum(leak.kind == "exact" for leak in rows),
            near=sum(leak.kind == "near" for leak in rows),
            train_rows=self._train_rows,
            test_rows=len(self._places),
            complete=self._complete,
            tests=self._tests,
            rows=rows[:SHOWN],
        )


def messages(report: LeakReport | None) -> list[str]:
    """What a person should know of it, a sentence for each test set; none where there is nothing to tell."""
    return [one.message for one in (report.tests if report else []) if one.message]


def _sentence(count: LeakCount, looked_at: int | None) -> str | None:
    if not count.exact + count.near:
        return None
    role = "held-out" if count.role == "held_out" else "validation"
    alike = f", {count.near:,} of them with slightly different wording" if count.near else ""
    looked = "" if looked_at is None else f" (checked against {looked_at:,} training rows)"
    return (
        f"{count.exact + count.near:,} of {count.rows:,} {role} rows of {count.dataset} are also in the training "
        f"data{alike}{looked}. Scores on these rows measure memorisation."
    )
