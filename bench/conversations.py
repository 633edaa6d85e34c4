"""Conversations shaped like real ones, from a seed: lengths, turns, punctuation, quotes and signs beyond ASCII."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SYLLABLES = "ka lo mi ren ta su vel or en tra ph is qu al der on st er ing ly ou gra be con de".split()
_ENDS = [", ", ", ", ". ", ". ", "? ", ": ", ".\n\n", ".\n- ", "! "]
_ODD = ["“so to speak”", '"quoted"', "naïve", "don’t", "日本", "🙂", "C:\\dir", "`code`", "é", "1,234.5"]


def conversations(size: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows in the messages format, until their JSON reaches about `size` bytes."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(_SYLLABLES, k=draw.choice([1, 1, 2, 2, 3]))) for _ in range(20_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    pool = draw.choices(words, weights, k=400_000)
    made = 0
    while made < size:
        turns: list[dict[str, str]] = []
        if draw.random() < 0.2:
            turns.append({"role": "system", "content": _text(draw, pool, 30)})
        for _ in range(draw.choice([1, 1, 2, 3])):
            turns.append(
                {"role": "user", "content": _text(draw, pool, int(draw.lognormvariate(3.3, 0.8)) + 2)}
            )
            turns.append(
                {"role": "assistant", "content": _text(draw, pool, int(draw.lognormvariate(4.9, 0.7)) + 2)}
            )
        made += sum(len(turn["content"]) + 40 for turn in turns)
        yield {"messages": turns}


def write(folder: Path, size: int, seed: int) -> dict[str, Path]:
    """The same rows as JSONL and as a pretty-printed JSON array."""
    lines, array = folder / "rows.jsonl", folder / "rows.json"
    with lines.open("w", encoding="utf-8") as out, array.open("w", encoding="utf-8") as pretty:
        pretty.write("[")
        for number, row in enumerate(conversations(size, seed)):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            text = json.dumps(row, ensure_ascii=False, indent=2).replace("\n", "\n  ")
            pretty.write(("," if number else "") + "\n  " + text)
        pretty.write("\n]\n")
    return {"jsonl": lines, "json": array}


def _text(draw: random.Random, pool: list[str], words: int) -> str:
    start = draw.randrange(len(pool) - words)
    parts = pool[start : start + words]
    for at in range(draw.randrange(3, 12), words, draw.randrange(5, 14)):
        parts[at] += draw.choice(_ENDS).strip(" ")
    if draw.random() < 0.5:
        parts[draw.randrange(words)] = draw.choice(_ODD)
    return " ".join(parts).capitalize() + "."
