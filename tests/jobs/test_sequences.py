"""Random sequences of what people and accidents do to a run: none is lost, stuck, run twice or published twice.

The queue, the handlers, the states and the database are the real ones, in this process; only the engine is a toy
that moves a step whenever it is looked at, so that a sequence happens in the order it was drawn. TUNERY_TEST_SEQUENCES
says how many are tried on each database.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select, update

from tests.jobs.house import House, alpaca, bare_model
from tests.postgres import new_database
from tunery.core.attempt import AttemptFolder
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, reading, writing
from tunery.db.tables import attempt, model_version, run, task
from tunery.jobs import attempts, giving_way, queue, worker
from tunery.jobs.states import RUN, RUN_ENDED, TASK_ENDED
from tunery.jobs.work import Work
from tunery.schemas.engine import EngineInput, EngineSpec, TrainResult
from tunery.services import datasets, models, runs

SEQUENCES = int(os.environ.get("TUNERY_TEST_SEQUENCES", "120"))
KINDS = ("train", "evaluate", "publish")
VERBS = ("stop", "pause", "resume", "cancel")
STEPS = 12
ACTIONS = st.one_of(
    st.just(("look",)),
    st.tuples(st.just("ask"), st.sampled_from(VERBS)),
    st.just(("worker dies",)),
    st.just(("worker dies before it writes",)),
    st.just(("worker dies after it wrote",)),
    st.just(("worker is told to end",)),
    st.just(("server restarts",)),
    st.just(("worker is frozen past its lease",)),
    st.just(("engine dies",)),
    st.tuples(st.just("engine goes on alone"), st.integers(1, STEPS)),
    st.just(("another run wants the machine",)),
)


class Killed(BaseException):
    """SIGKILL: nothing after this line happens."""


@dataclass
class ToyEngine:
    """One engine process. It outlives whoever started it."""

    folder: AttemptFolder
    run: str
    number: int
    step: int
    steps: int
    world: "World"
    seq: int = 0
    lives: bool = True
    told_to_end: bool = False

    def move(self) -> None:
        """One step, or the end."""
        if not self.lives:
            return
        want = "pause" if self.told_to_end else self.folder.wanted()
        if want == "cancel":
            self._end("cancelled")
        elif want != "run" or self.step == self.steps:
            if want == "pause":
                self._save()
            self._end({"run": "succeeded", "stop": "stopped", "pause": "paused"}[want])
        else:
            self.step += 1
            self._tell("metric", values={"train_loss": 1 / self.step})
            if self.step % 5 == 0:
                self._save()

    def _save(self) -> None:
        if self.run == self.world.run:
            self.world.saved = max(self.world.saved, self.step)
        path = self.folder.checkpoint(self.step)
        path.mkdir(parents=True, exist_ok=True)
        (path / "manifest.json").write_text(json.dumps({"step": self.step}))
        self._tell("checkpoint", name=path.name, bytes=1, hash="0" * 64)

    def _end(self, status: Any) -> None:
        kept = status in ("succeeded", "stopped")
        if kept:
            self.folder.output.mkdir()
            (self.folder.output / "model.safetensors").write_bytes(b"weights")
        self._tell("finished", status=status)
        result = TrainResult(status=status, steps=self.step, output="output" if kept else None)
        self.folder.write_result(result.model_dump())
        self.lives = False

    def _tell(self, type: str, **fields: object) -> None:
        self.seq += 1
        common = {"v": 1, "seq": self.seq, "attempt": self.number, "step": self.step, "time": now_us()}
        self.folder.append_event({**common, "type": type, **fields})


@dataclass
class World:
    """A house without processes: workers are calls, engines are objects, accidents come from a script."""

    house: House
    model: Path
    script: list[tuple[Any, ...]] = field(default_factory=list)
    engines: dict[Path, ToyEngine] = field(default_factory=dict)
    killing: bool = False
    depth: int = 0
    run: str = ""
    seen: str = "queued"
    crashes: int = 0
    die_at_write: str = ""
    saved: int = 0
    """The furthest checkpoint of the run."""
    work: Work | None = None
    others: list[str] = field(default_factory=list)
    """Runs that idle-time runs give way to."""
    before: list[Engine] = field(default_factory=list)
    """Databases as servers before this one opened them; a worker that was frozen then still writes there."""

    # -- the launcher

    API_VERSION = 1
    TITLE = HELP = "toys"

    def start(self, command: Sequence[str], folder: AttemptFolder, environment: Mapping[str, str]) -> None:
        inputs = EngineInput.model_validate(folder.read_attempt())
        spec = EngineSpec.model_validate(folder.read_spec())
        others = [one for one in self.engines.values() if one.lives and one.run == spec.run]
        assert others == [], "two engines of one run at a time"
        given = [json.loads((Path(p) / "manifest.json").read_text())["step"] for p in inputs.resume_from]
        step = max(given, default=0)
        assert step >= self.saved or spec.run != self.run, "it goes on from the furthest checkpoint"
        engine = ToyEngine(folder, spec.run, inputs.attempt, step, STEPS, self)
        engine._tell("started", steps=STEPS, resumed_from=engine.step or None)
        self.engines[folder.path] = engine

    def alive(self, folder: AttemptFolder) -> bool:
        self.happen(folder)
        engine = self.engines.get(folder.path)
        if engine is None:
            return False
        engine.move()
        return engine.lives

    def terminate(self, folder: AttemptFolder) -> None:
        if folder.path in self.engines:
            self.engines[folder.path].told_to_end = True

    def kill(self, folder: AttemptFolder) -> None:
        if not self.killing and folder.path in self.engines:
            self.engines[folder.path].lives = False

    # -- accidents

    def happen(self, folder: AttemptFolder) -> None:
        """What the script says comes next, while a worker looks at an engine."""
        self.look()
        what, *more = self.script.pop() if self.script else ("look",)
        engine = self.engines.get(folder.path)
        if what == "ask":
            self.ask(more[0])
        elif what == "worker dies":
            self.die()
        elif what.startswith("worker dies "):
            self.die_at_write = what
        elif what == "worker is told to end" and self.work:
            self.work.closing.set()
        elif what == "server restarts":
            self.restart()
        elif what == "worker is frozen past its lease" and self.depth < 3:
            self.freeze()
        elif what == "engine dies" and engine and engine.lives:
            engine.lives = False
            self.crashes += 1
        elif what == "another run wants the machine":
            self.others.append(self.house.submit(self.model, STEPS, name="other"))
            giving_way.make_room(self.house.engine, self.house.settings)
        elif what == "engine goes on alone" and engine:
            for _ in range(more[0]):
                engine.move()

    def die(self) -> None:
        self.killing = True
        raise Killed

    def restart(self) -> None:
        """The server is killed, its worker with it; the next one opens the database anew. Engines live on."""
        self.before.append(self.house.engine)
        self.house.engine.dispose()
        self.house.engine = open_database(self.house.settings)
        self.die()

    def freeze(self) -> None:
        """Another worker takes over and works, before this one looks again."""
        frozen = self.work
        with writing(self.house.engine) as connection:
            connection.execute(update(task).where(task.c.run_id == self.run).values(lease_until=0))
        self.worker_takes_one()
        self.work = frozen

    def ask(self, verb: Any) -> None:
        with self.house.context() as ctx:
            try:
                runs.ask(ctx, self.run, verb)
            except Problem as problem:
                if problem.code != "not_in_state":
                    raise
        self.look()

    # -- workers

    def worker_takes_one(self) -> bool:
        held = queue.claim(self.house.engine, f"w{self.depth}", KINDS, 60)
        if held is None:
            return False
        self.depth += 1
        self.work = MortalWork(held, self.house.engine, self.house.settings, self.house.blobs, world=self)
        try:
            worker._perform(self.work)
        except Killed:
            with writing(self.house.engine) as connection:
                mine = (task.c.id == held.task) & (task.c.token == held.token)
                connection.execute(update(task).where(mine).values(lease_until=0))
        finally:
            self.depth -= 1
            self.killing, self.die_at_write = False, ""
        self.look()
        return True

    # -- what must hold at every moment

    def look(self) -> None:
        with reading(self.house.engine) as connection:
            state = connection.execute(select(run.c.state).where(run.c.id == self.run)).scalar_one()
        if state != self.seen:
            assert state in _reachable(self.seen), f"{self.seen} became {state}"
            self.seen = state

    def live(self, script: Sequence[tuple[Any, ...]], *, publish: bool, idle_time: bool) -> None:
        """Submit a run, let the script happen, then let it come to an end in peace."""
        self.engines.clear()
        self.others.clear()
        self.crashes, self.saved, self.seen = 0, 0, "queued"
        self.script = list(script)
        resources = {"launcher": "local", "idle_time": idle_time}
        spec = {"publish": {"auto": publish}, "name": f"run-{publish}", "resources": resources}
        self.run = self.house.submit(self.model, STEPS, **spec)
        for _ in range(8 * len(script) + 40):
            if self.script and self.script[-1][0] == "ask":
                self.ask(self.script.pop()[1])
            if not self.worker_takes_one():
                if self.script:
                    self.script.pop()
                elif self.seen == "paused":
                    self.ask("resume")
                else:
                    break
        else:
            pytest.fail(f"the run is stuck: {self.seen}")
        self.judge(publish=publish)

    def judge(self, *, publish: bool) -> None:
        with reading(self.house.engine) as connection:
            found = connection.execute(select(run).where(run.c.id == self.run)).one()
            tasks = connection.scalars(select(task.c.state).where(task.c.run_id == self.run)).all()
            open_attempts = connection.execute(
                select(attempt.c.number).join(task, task.c.id == attempt.c.task_id)
                .where(task.c.run_id == self.run, attempt.c.ended.is_(None))
            ).all()  # fmt: skip
            others = connection.execute(select(run.c.state).where(run.c.id.in_(self.others))).scalars().all()
            versions = connection.execute(
                select(model_version.c.id).where(model_version.c.run_id == self.run)
            ).all()
        assert found.state in RUN_ENDED, "no run is left lying"
        assert set(tasks) <= TASK_ENDED
        assert set(others) <= {"succeeded", "failed"}
        assert open_attempts == []
        assert not [one for one in self.engines.values() if one.lives], "no engine outlives its run"
        if found.state == "failed":
            assert found.reason["code"] == "engine_crashed"
            assert self.crashes >= self.house.settings.max_fruitless_attempts
        assert len(versions) == (1 if publish and found.state == "succeeded" else 0)
        if found.state == "succeeded":
            assert self.house.losses(self.run) == [1 / step for step in range(1, STEPS + 1)]
        for verb in VERBS:
            with self.house.context() as ctx, pytest.raises(Problem, match="its state is"):
                runs.ask(ctx, self.run, verb)  # pyright: ignore[reportArgumentType]
        self.look()


@dataclass
class MortalWork(Work):
    """A worker's work, during which it may be killed around any of its writes."""

    world: World = field(kw_only=True)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        if self.world.die_at_write == "worker dies before it writes":
            self.world.die()
        with super().writing(durable=durable) as connection:
            yield connection
        if self.world.die_at_write == "worker dies after it wrote":
            self.world.die()


def _reachable(state: Any) -> set[str]:
    """Every state that legal moves lead to."""
    found: set[Any] = set()
    ahead = [state]
    while ahead:
        for after in RUN[ahead.pop()] - found:
            found.add(after)
            ahead.append(after)
    return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    url = "" if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tunery-sequences-", dir=memory if memory.is_dir() else None))
    house = House(folder, ServerSettings(data=folder / "data", database_url=url))
    house.import_rows("rows", alpaca(folder / "rows.jsonl", 120))
    held = queue.claim(house.engine, "importer", ["import_dataset"], 60)
    assert held is not None
    worker._perform(Work(held, house.engine, house.settings, house.blobs))
    with house.context() as ctx:
        assert datasets.get_version(ctx, "rows").state == "published"
        assert models.list_models(ctx).data == []
    made = World(house, bare_model(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempts, "LAUNCHERS", SimpleNamespace(load=lambda name: made))
        for name in ("_POLL_SECONDS", "_BACK_OFF_SECONDS"):
            patch.setattr(attempts, name, 0)
        yield made
    house.close()
    for engine in made.before:
        engine.dispose()
    shutil.rmtree(folder)


@settings(
    max_examples=SEQUENCES, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(script=st.lists(ACTIONS, max_size=20), publish=st.booleans(), idle_time=st.booleans())
def test_no_run_is_lost_stuck_run_twice_or_published_twice(
    world: World, script: list[tuple[Any, ...]], publish: bool, idle_time: bool
) -> None:
    world.live(script, publish=publish, idle_time=idle_time)
