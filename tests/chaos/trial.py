"""The trial itself: runs are asked for by REST, faults are injected, until every run has ended."""

import random
import threading
import time
from dataclasses import dataclass, field

import httpx
from sqlalchemy import func, select

from tests.chaos.faults import Faults, through
from tests.chaos.place import Place
from tests.jobs.house import alpaca, bare_model
from tests.patience import PATIENCE
from tests.served import tunery
from tunery.db.engine import reading
from tunery.db.tables import checkpoint, run
from tunery.jobs.states import RUN_ENDED

_AHEAD = 6
"""So many runs wait at most; otherwise the last would only wait."""
_STEPS = 100
_TICK_SECONDS = 0.1
_PATIENCE_SECONDS = 2 * PATIENCE


@dataclass
class Trial:
    """`run` returns when every run has ended, or nothing ended for a long time."""

    place: Place
    runs: int
    every: float
    seed: int
    most: int | None = None
    """Faults; afterwards the runs end in peace."""
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.faults = Faults(self.place, random.Random(self.seed))
        self._over = threading.Event()
        self._open = 0
        self._saved = 0

    def run(self) -> None:
        """Faults come every so many seconds, but only where something was saved since the last one.

        On a machine too slow for that, engines would only be killed while they start.
        """
        self._import()
        asking = threading.Thread(target=self._ask, name="asking")
        asking.start()
        ended, changed, saved = 0, time.monotonic(), 0
        next_fault = changed + self.every
        while ended < self.runs and time.monotonic() - changed < _PATIENCE_SECONDS:
            self.place.keep()
            through(self.faults.tick)
            if (
                time.monotonic() >= next_fault
                and self.faults.done.total() != self.most
                and self._saved > saved
            ):
                through(self.faults.inject)
                next_fault, saved = time.monotonic() + self.every, self._saved
            before = ended
            ended = self._count(ended)
            if ended != before:
                changed = time.monotonic()
            time.sleep(_TICK_SECONDS)
        self._over.set()
        self.faults.thaw()
        asking.join()

    def _import(self) -> None:
        rows = alpaca(self.place.folder / "rows.jsonl", 120)
        self._model = bare_model(self.place.folder)
        there = {"TUNERY_URL": self.place.url, "TUNERY_TOKEN": self.place.token}
        done = tunery(self.place.folder, "data", "import", rows, "--name", "rows", **there)
        assert done.returncode == 0, done

    def _count(self, ended: int) -> int:
        def look() -> None:
            nonlocal ended
            with reading(self.place.house.engine) as connection:
                ended = connection.scalar(
                    select(func.count()).select_from(run).where(run.c.state.in_(RUN_ENDED))
                ) or 0  # fmt: skip
                self._open = len(self.made) - ended
                furthest = select(func.max(checkpoint.c.step).label("step")).group_by(checkpoint.c.run_id)
                self._saved = connection.scalar(select(func.sum(furthest.subquery().c.step))) or 0

        through(look)
        return ended

    def _ask(self) -> None:
        """Every run once, by its own key, however often it must be sent until it is acknowledged."""
        number = 0
        while number < self.runs and not self._over.is_set():
            if self._open >= _AHEAD or not self._send(number):
                time.sleep(_TICK_SECONDS)
            else:
                number += 1

    def _send(self, number: int) -> bool:
        spec = {
            "name": f"chaos-{number}",
            "base_model": str(self._model),
            "data": "rows",
            "settings": {"max_steps": _STEPS},
            "publish": {"auto": True},
            "resources": {"idle_time": number % 5 == 0},
        }
        if number % 4 == 0:
            spec["evaluate"] = {"dataset": "rows", "max_rows": 5}
        headers = {"Authorization": f"Bearer {self.place.token}", "Idempotency-Key": f"chaos-{number}"}
        try:
            answer = httpx.post(f"{self.place.url}/api/v1/runs", json=spec, headers=headers, timeout=10)
        except httpx.TransportError:
            return False
        if answer.status_code != 201:
            assert answer.status_code >= 500, answer.text
            return False
        self.made.add(answer.json()["id"])
        self._open += 1
        return True
