"""Rows that are wrong in themselves or among others: cases 10 to 21."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from bench.hostile.case import MB, ROW, Bad, Case, Refused, around, written


def rows(scale: float) -> Iterable[Case]:
    def one(number: int, title: str, bad: bytes, rule: str) -> Case:
        return Case(number, title, "a.jsonl", written(around(bad)), Bad(6, {rule: 1}))

    yield one(10, "broken line in the middle", b'{"text": "br', "invalid_json")
    array = b"[" + b",".join([b'{"text": "x"}'] * 50) + b', {"text": "y" ] , {"text": "z"}]'
    yield Case(10, "broken list", "a.json", written(array), Refused("line 1, byte", "json_broken"))
    cut = b"[" + b",\n".join([b'{"text": "x"}'] * 50) + b',\n{"te'
    yield Case(
        10, "list cut off", "a.json", written(cut), Refused("before the list is closed", "json_broken")
    )
    long = max(65, int(2048 * scale))
    yield Case(
        11,
        f"{long} MB without a line break",
        "a.jsonl",
        lambda path: _endless(path, long),
        Bad(3, {"row_too_long": 1}),
    )
    words = "Grüße aus Köln, schöne Straßen"
    for coding in ("utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-32-be"):
        spelled = ('{"text": "' + words + '"}\n').encode(coding)
        yield Case(12, coding, "a.jsonl", written(spelled * 9), Refused("UTF-8"))
    for coding, said in (("latin-1", words), ("shift-jis", "東京の天気"), ("gb18030", "北京的天气")):
        yield one(12, coding, b'{"text": "' + said.encode(coding) + b'"}', "invalid_utf8")
    yield one(13, "invalid UTF-8", b'{"text": "\xed\xa0\x80\xff"}', "invalid_utf8")
    yield one(14, "lone surrogate", b'{"text": "\\ud800"}', "lone_surrogate")
    yield one(15, "NUL byte", b'{"text": "\0"}', "nul_character")
    yield one(15, "escaped NUL", b'{"text": "a\\u0000b"}', "nul_character")
    for value in (b"NaN", b"Infinity", b"-Infinity"):
        yield one(16, value.decode(), b'{"text": "a", "score": ' + value + b"}", "not_a_number")
    yield one(17, "repeated key", b'{"text": "a", "text": "b"}', "duplicate_key")
    yield one(17, "repeated key, escaped", b'{"text": "a", "\\u0074ext": "b"}', "duplicate_key")
    deep = 100_000
    yield one(18, "100,000 levels", b'{"text": ' + b"[" * deep + b"]" * deep + b"}", "nesting_too_deep")
    keys = b"{" + b",".join(b'"k%d":0' % number for number in range(100_000)) + b"}"
    yield one(19, "100,000 keys and none of the format's", keys, "field_missing")
    rows = max(2000, int(200_000 * scale))
    late = ROW * rows + b'{"text": "x", "late": {"deep": [1]}}\n{"text": 7}\n{"text": ["x"]}\n{"txt": "x"}\n'
    found = {"not_text": 2, "field_missing": 1}
    yield Case(20, "late key, late type", "a.jsonl", written(late), Bad(rows + 1, found))
    yield from _talks()


def _talks() -> Iterable[Case]:
    user, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    good = orjson.dumps({"messages": [user, answer]}) + b"\n"
    half = {"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]}
    wrong: list[tuple[str, list[Any], str]] = [
        ("unknown role", [{"role": "wizard", "content": "a"}, answer], "unknown_role"),
        ("empty role", [{"role": "", "content": "a"}, answer], "unknown_role"),
        ("role null", [{"role": None, "content": "a"}, answer], "not_text"),
        ("half a tool call", [user, half], "tool_call"),
        ("empty answer", [user, {"role": "assistant", "content": " "}], "empty_answer"),
        ("answer first", [answer, user], "user_not_first"),
        ("two questions", [user, user, answer], "turns_do_not_alternate"),
        ("no turns", [], "no_answer_at_end"),
        ("a turn that is a text", ["hello", answer], "turn_not_an_object"),
    ]
    for title, turns, rule in wrong:
        bad = around(orjson.dumps({"messages": turns}), good)
        yield Case(21, title, "a.jsonl", written(bad), Bad(6, {rule: 1}))


def _endless(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        file.write(ROW * 3)
        for _ in range(megabytes):
            file.write(b"x" * MB)
