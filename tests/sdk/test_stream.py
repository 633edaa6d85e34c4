"""Server-sent events read from bytes that are cut anywhere."""

import pytest

from tunery.sdk.stream import Follower, Lines, RunEvent

TEXT = (
    ": keep-alive\n\n"
    'id: 4\nevent: log\ndata: {"type": "log", "message": "two\u2028lines\x85 here"}\n\n'
    'id: 5\r\nevent: metric\r\ndata: {"type": "metric",\r\ndata:  "step": 3}\r\n\r\n'
    'id: 5\nevent: metric\ndata: {"type": "metric", "step": 3}\n\n'
    'id: 6\nevent: of tomorrow\ndata: {"type": "of tomorrow", "x": 1}\n\n'
    "event: end\ndata: {}\n\n"
).encode()


def read(follower: Follower, size: int) -> list[RunEvent]:
    lines = Lines()
    chunks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    return [event for chunk in chunks for line in lines.feed(chunk) for event in follower.events(line)]


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_however_the_bytes_come(size: int) -> None:
    follower = Follower("run_x", after=0)
    events = read(follower, size)
    assert [(event.id, event.type) for event in events] == [(4, "log"), (5, "metric"), (6, "of tomorrow")]
    assert events[0].body["message"] == "two\u2028lines\x85 here"
    assert events[1].step == 3
    assert follower.ended
    assert follower.headers()["Last-Event-ID"] == "6"


def test_what_was_seen_does_not_come_again() -> None:
    assert [event.id for event in read(Follower("run_x", after=5), 100)] == [6]
