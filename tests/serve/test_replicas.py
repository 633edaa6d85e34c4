"""The pool keeps processes: started on first use, replaced when dead, ended when idle, in the way or at the close."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.patience import wait
from tests.serve import toy_replica
from tunery.core.errors import Problem
from tunery.core.process import ProcessIdentity
from tunery.core.settings import ServerSettings
from tunery.schemas.serving import ChatTurn, GenerateRequest
from tunery.serve.backends import transformers
from tunery.serve.replicas import ReplicaPool
from tunery.serve.router import Target

_ONE, _TWO, _THREE = (Target(name, Path("/models") / name) for name in ("one", "two", "three"))


def _toy_command(base: Path, socket: Path, _: ServerSettings) -> list[str]:
    return [sys.executable, "-S", toy_replica.__file__, str(base), str(socket)]


_TOY: Any = SimpleNamespace(**{**vars(transformers), "command": _toy_command})


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Callable[..., ReplicaPool]]:
    pools: list[ReplicaPool] = []

    def make(**settings: Any) -> ReplicaPool:
        pools.append(ReplicaPool(ServerSettings(data=tmp_path, **settings), tmp_path, backend=_TOY))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


async def _ask(pool: ReplicaPool, target: Target, word: str = "who") -> int:
    """The process that answered."""
    request = GenerateRequest(messages=[ChatTurn(role="user", content=word)])
    lines = [line async for line in pool.answer(target, request)]
    assert [line.type for line in lines] == ["text", "end"]
    return int(lines[0].text.removesuffix("\u2028"))  # pyright: ignore[reportAttributeAccessIssue]


def _run(work: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await work

    return asyncio.run(main())


def _alive(pid: int) -> bool:
    return ProcessIdentity.of(pid) is not None


def _go(pool: ReplicaPool) -> None:
    """Those that wait go on."""
    assert pool._sockets is not None
    (pool._sockets / "go").touch()


async def _starting(pool: ReplicaPool, target: Target) -> None:
    """Come back when it is in the middle of its start, where a slow one stays."""
    while pool.state(target) != "starting":
        await asyncio.sleep(0.01)


def test_it_starts_on_first_use_and_stays(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool()
    assert pool.state(_ONE) == "idle"
    pid = _run(_ask(pool, _ONE))
    assert pool.state(_ONE) == "ready"
    assert pool.state(_TWO) == "idle"
    # Another event loop, the same process.
    assert _run(_ask(pool, _ONE)) == pid
    pool.close()
    assert not _alive(pid)


def test_requests_at_the_same_time_start_one_process(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool()
    slow = Target("slow", Path("/models/slow"))

    async def ask_five() -> list[int]:
        asked = [asyncio.create_task(_ask(pool, slow)) for _ in range(5)]
        await _starting(pool, slow)
        await asyncio.sleep(0.2)  # for the other four to ask as well
        assert pool.state(slow) == "starting"
        asked[0].cancel()  # one who gives up doesn't take the others along
        _go(pool)
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        return [each for each in done[1:] if isinstance(each, int)]

    pids = _run(ask_five())
    assert len(pids) == 4
    assert len(set(pids)) == 1


def test_a_killed_one_is_replaced(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool()
    pid = _run(_ask(pool, _ONE))
    os.kill(pid, signal.SIGKILL)
    assert _run(_ask(pool, _ONE)) != pid


def test_death_in_the_middle_of_an_answer_is_told(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool()
    for word in ("die", "die at once"):
        with pytest.raises(Problem) as caught:
            _run(_ask(pool, _ONE, word))
        assert caught.value.code == "answer_broken_off"
        assert caught.value.params == {"name": "one", "detail": "its process exited"}
    assert _alive(_run(_ask(pool, _ONE)))


def test_an_idle_one_is_stopped(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool(replica_idle_seconds=0.5)

    async def ask_for_long() -> int:
        asked = asyncio.create_task(_ask(pool, _ONE, "wait"))
        while pool.state(_ONE) != "ready":
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.5)  # it answers for longer than that; an answer under way isn't idleness
        _go(pool)
        return await asked

    pid = _run(ask_for_long())
    wait("its end", lambda: not _alive(pid))
    assert pool.state(_ONE) == "idle"
    assert _run(_ask(pool, _ONE)) != pid


def test_the_least_recently_used_makes_room(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool(max_replicas=2)
    one, two = _run(_ask(pool, _ONE)), _run(_ask(pool, _TWO))
    assert _run(_ask(pool, _ONE)) == one
    three = _run(_ask(pool, _THREE))
    assert [_alive(pid) for pid in (one, two, three)] == [True, False, True]


def test_a_busy_one_never_makes_room(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool(max_replicas=1)

    async def both() -> tuple[int, int]:
        request = GenerateRequest(messages=[ChatTurn(role="user", content="wait")])
        first = pool.answer(_ONE, request)
        pid = int((await anext(first)).text)  # pyright: ignore[reportAttributeAccessIssue]
        second = asyncio.create_task(_ask(pool, _TWO))
        await asyncio.sleep(0.3)  # for the second to do what it must not
        assert _alive(pid)
        assert not second.done()
        _go(pool)
        assert [line.type async for line in first] == ["end"]
        return await second, pid

    two, one = _run(both())
    assert one != two
    assert not _alive(one)


def test_a_folder_that_can_not_be_loaded(make_pool: Callable[..., ReplicaPool], tmp_path: Path) -> None:
    pool = make_pool()
    broken = Target("my-model", Path("/models/broken"))
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            _run(_ask(pool, broken))
        assert caught.value.code == "replica_failed"
        assert caught.value.params["name"] == "my-model"
        assert "no chat template" in caught.value.message
    assert pool.state(broken) == "failed"
    failure = pool.failure(broken)
    assert failure is not None
    assert failure["code"] == "replica_failed"
    # The second request wasn't worth another start.
    (log,) = (tmp_path / "logs").glob("replica-broken-*.log")
    assert len(log.read_text().splitlines()) == 1


def test_close_ends_what_is_starting_too(make_pool: Callable[..., ReplicaPool]) -> None:
    pool = make_pool()
    slow = Target("slow", Path("/models/slow"))

    async def ask_and_close() -> None:
        asked = asyncio.create_task(_ask(pool, slow))
        await _starting(pool, slow)
        await asyncio.to_thread(pool.close)
        with pytest.raises(Problem, match="slow"):
            await asked

    _run(ask_and_close())
    assert pool.processes() == {}
