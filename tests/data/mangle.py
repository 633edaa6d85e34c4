"""Rows of every format that has a short way, whole and mangled; and what both ways make of them."""

import json
from array import array
from itertools import accumulate, chain
from typing import Any

import orjson

from tunery.data.block import Block
from tunery.data.formats.point import FORMATS, quick_of
from tunery.data.quick import QuickReader, Taken
from tunery.data.record import parse
from tunery.data.rows import RowError, characters, encode_row

PLAIN: dict[str, list[Any]] = {
    "alpaca": [
        {"instruction": "a", "input": "", "output": 'b "quoted" é😀', "id": 3},
        {"instruction": "", "input": "x", "output": "b", "system": None, "history": [], "source": "web", "score": 0.5},
        {"instruction": "a\n", "input": "b / c", "output": "d", "system": "s", "meta": {"a": [1, {"b": -2.5e3}]}},
        {"instruction": "a", "output": "b", "system": "s", "history": [["c", "d"]]},
    ],
    "corpus": [
        {"text": "Hello: \\ \" \n"}, {"text": "a", "url": "http://x", "meta": None, "n": -7},
        {"text": "\u3000\u2003你好，世界。\x7f\x01\x1f", "tags": ["a", [], {}]},
    ],
    "kto": [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "label": True},
        {"prompt": "a\n", "completion": 'b "quoted" é😀', "label": False, "system": "s", "id": 3},
        {"conversations": [{"from": "human", "value": "a"}, {"value": "b", "from": "gpt"}], "label": True, "tools": ""},
        {"label": True, "instruction": "a", "input": "x", "output": "b", "history": []},
        {"prompt": "a", "input": "not read", "response": "b", "label": True},
        {"messages": [{"role": "user", "content": "a"}, {"from": "gpt", "value": "b"}], "prompt": "c", "label": False},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "value": "b"}], "label": False},
        {"prompt": "a", "completion": "b", "label": 1}, {"prompt": "a", "completion": "b"},
    ],
    "messages": [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": '"b":'}], "id": "x\"y"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "human", "content": "a"},
                      {"role": "model", "content": "b"}], "tools": None, "images": []},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                      {"role": "tool", "content": "c"}, {"content": "d", "role": "assistant"}], "system": "s"},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "name": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]},
                      {"role": "assistant", "content": "b"}]},
    ],
    "preference": [
        {"prompt": "a", "chosen": 'b "quoted" é😀', "rejected": "c / d", "id": 3},
        {"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}],
         "chosen": {"from": "gpt", "value": "b"}, "rejected": {"value": "c", "from": "gpt"}},
        {"instruction": "a", "input": "x", "chosen": "b", "rejected": "c", "system": "s"},
        {"prompt": "not read", "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
         "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}]},
        {"messages": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}],
         "rejected": "c", "tools": []},
        {"chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "system": "s",
         "rejected": [{"role": "user", "content": "z"}, {"role": "assistant", "content": "c"}]},
        {"prompt": "a", "answers": ["b", "c", "d"]}, {"prompt": "a", "chosen": "b", "rejected": "b"},
        {"prompt": "a", "chosen": "b", "rejected": {"role": "user", "content": "c"}},
        {"prompt": "a", "input": "not read", "chosen": ["b"], "rejected": "c"},
    ],
    "prompt_completion": [
        {"prompt": "a", "completion": 'b "quoted" é😀', "id": 3},
        {"response": "b / c", "prompt": "x\n", "system": "s", "input": "nothing", "images": []},
        {"prompt": "a", "completion": "b", "system": None, "image": None},
        {"prompt": "a", "completion": "b", "response": "c"},
        {"prompt": "a", "completion": "b", "image_path": "x.png"},
    ],
    "sharegpt": [
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"},
        {"id": "1", "conversations": [{"value": "a", "from": "user"}, {"from": "bard", "value": "b"}], "tools": None},
        {"conversations": [{"from": "Human", "value": "a"}, {"from": "gpt", "value": "b"}], "tools": "[]"},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "", "tools": ""},
    ],
}  # fmt: skip
BITS = [
    b'"', b"\\", b"\\u0022", b"\\u0000", b"\\u00e9", b"\\ud83d\\ude00", b"\\ud800", b"\\/", b"\\n", b"\n", b"\x00",
    b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b",", b":", b"{", b"}", b"[", b"]", b" ", b"NaN", b"1e999", b"9" * 400,
    b'"text": "x",', b'"role":"user",', b'"id":1,', b'"\\u0069d": 2,', b'"output" : "c",', b"null", b"true", b"-0",
    b"[" * 70, b"\\u001F", b"\\u005c", b"\xe3\x80\x80", b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"0.5E+07", b"01", b"1.",
    b'"label":true,', b'"chosen": "x",', b'"prompt":"p",', b'"answers": [],', b'"system": "", ',
    b'"images": ["a.png"],', b"\\t\\b", b'"a": {"b": [{}]},', b"\x1f", b"\\x",
]  # fmt: skip

LAYOUTS = ("compact", "spaced", "ascii", "pretty")
Outcome = tuple[bytes, int] | None


def careful(name: str, raw: bytes) -> Outcome:
    """What the careful way makes of a row: its canonical form and characters."""
    value, error = parse(raw)
    if error is not None:
        return None
    try:
        row = FORMATS.load(name).read(value)
    except RowError:
        return None
    return encode_row(row), characters(row)


def short(name: str, raws: list[bytes]) -> list[Outcome]:
    """What the short way makes of rows, each by itself; None where it leaves one."""
    quick = quick_of(FORMATS.load(name))
    assert quick is not None
    reader = QuickReader(quick)
    found: list[Outcome] = []
    for raw in raws:
        # The row stands among other bytes: nothing outside it may count.
        block = Block(1, b'","}]' + raw + b'"}', array("I", (5, 5 + len(raw))), (0, 1), 0)
        taken = reader.read(block)
        found.append(None if taken.left else (taken.text[:-1], taken.characters))
    return found


def taken_of(name: str, raws: list[bytes]) -> Taken:
    """What the short way makes of rows that come together."""
    quick = quick_of(FORMATS.load(name))
    assert quick is not None
    ends = list(accumulate(map(len, raws)))
    places = array("I", chain.from_iterable(zip([0, *ends], ends, strict=False)))
    return QuickReader(quick).read(Block(1, b"".join(raws), places, (0, 1), 0))


def rows_alike(name: str, raws: list[bytes]) -> list[Outcome]:
    """Where the short way says something, the careful way says the same."""
    found = short(name, raws)
    for raw, one in zip(raws, found, strict=True):
        assert one is None or one == careful(name, raw), raw
    return found


def mangled(value: object, layout: str, changes: list[tuple[int, bytes, int]]) -> bytes:
    """JSON of a value, with bits put in at places and bytes taken out."""
    raw = {
        "compact": lambda: orjson.dumps(value),
        "spaced": lambda: json.dumps(value, ensure_ascii=False).encode(),
        "ascii": lambda: json.dumps(value).encode(),
        "pretty": lambda: json.dumps(value, indent=2).encode(),
    }[layout]()
    for place, bit, dropped in changes:
        at = place % (len(raw) + 1)
        raw = raw[:at] + bit + raw[at + dropped :]
    return raw
