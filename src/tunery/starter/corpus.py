"""The pretraining corpus of the starter model: short invented documents, written from a seed.

Most documents state facts about values that nobody has seen before (names, codes, numbers, places) and then
need those values again: in JSON, in a list, in a table, in an answer. A small model that reads them has to
learn to copy. Little stories and plain sentences give it some grammar. The module does not know the sample
task: no document here asks for a support ticket or shows its format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from tunery.starter import stories, words
from tunery.starter.domains import DOMAINS, Slot, value

Value = str | int | None
Record = list[tuple[str, Value]]

ASIDES = words.items(
    "My friend {p} says hello.|The old number was {c}, please forget it.|I asked twice.|We waited {n} days.|"
    "It was not {p}.|{p} told us about it.|Yesterday I spoke with {p}.|Nothing else is known.|Thank you.|"
    "My neighbour {p} had the same.|It is not {c}.|The road to {t} is closed.|I paid {b} coins.|Hello.|"
    "That took {n} minutes.|Please hurry.|I hope you are well.|Last year it was in {t}.|Sorry for the trouble.|"
    "The weather was fine.|It has nothing to do with {c}.|{p} from {t} will bring it.|Good morning.",
    "|",
)
ASKS = words.items(
    "Turn this into {f}.|Write this as {f}.|Read the text and give {f}.|Give me {f}.|Make {f} from this.|"
    "Extract {f}.|Put the facts into {f}.|Which facts are here? Answer in {f}.|Convert to {f}.",
    "|",
)

JOINED = ("The ", "It ", "We ", "They ", "There ")  # sentences that may follow another one's comma
JOINS = ("and", "and", "but", "so", "while")
FRAMES = words.items(
    "First there was {v}.|Then we saw {v}.|Somebody wrote {v} on the wall.|I also noted {v}.|And {v} too.",
    "|",
)
TELLS = ("Write this as sentences.", "Say it in words.", "Make a short text from this.", "Describe it.")
QUESTIONS = "What is the {k}?|Tell me the {k}.|Which {k} is given?|{k}?|Find the {k}."
QUOTES = ("{v}", '"{v}"', '{{"v":"{v}"}}', "({v})", "= {v}", "v: {v}", "I said {v}.")


def _record(rng: Random, low: int = 2, high: int = 6) -> tuple[str, list[tuple[Slot, str, Value]]]:
    kind = rng.choice(list(DOMAINS))
    slots = DOMAINS[kind]
    chosen = rng.sample(slots, min(len(slots), rng.randint(low, high)))
    return kind, [(slot, rng.choice(slot.names), value(rng, slot.kind)) for slot in chosen]


def _aside(rng: Random) -> str:
    return rng.choice(ASIDES).format(
        p=words.person(rng) if rng.random() < 0.5 else words.given_name(rng),
        c=words.code(rng), n=rng.randint(2, 12), t=words.place(rng), b=words.digits(rng, 2, 3),
    )  # fmt: skip


def _said(rng: Random, slot: Slot, item: Value) -> str:
    shown = str(item)
    if isinstance(item, int) and item <= 12 and slot.kind == "number" and rng.random() < 0.5:
        shown = words.NUMBER_WORDS[item]
    return rng.choice(slot.sentences).format(v=shown)


def _prose(rng: Random, fields: list[tuple[Slot, str, Value]], asides: int) -> str:
    sentences = [_said(rng, slot, item) for slot, _, item in fields if item is not None]
    sentences += [_aside(rng) for _ in range(rng.randint(0, asides))]
    ending = [sentence for sentence in sentences if sentence[-1] not in ".?"]
    sentences = [sentence for sentence in sentences if sentence[-1] in ".?"]
    rng.shuffle(sentences)
    merged: list[str] = []
    for sentence in sentences:
        joins = bool(merged) and merged[-1].endswith(".") and sentence.startswith(JOINED)
        if joins and rng.random() < 0.35:
            merged[-1] = f"{merged[-1][:-1]}, {rng.choice(JOINS)} {sentence[0].lower()}{sentence[1:]}"
        else:
            merged.append(sentence)
    if ending:
        return " ".join(merged) + rng.choice((" ", "\n", "\n\n")) + ending[0]
    return " ".join(merged)


def _shape(rng: Random, record: Record) -> tuple[str, str]:
    """A name for a format, and the record in it."""
    style = rng.randrange(9)
    if style <= 2:
        return "compact JSON", json.dumps(dict(record), separators=(",", ":"))
    if style == 3:
        return "JSON", json.dumps(dict(record))
    if style == 4:
        return "indented JSON", json.dumps(dict(record), indent=2)
    plain = [(key, "unknown" if item is None else str(item)) for key, item in record]
    if style == 5:
        return "YAML", "\n".join(f"{key}: {item}" for key, item in plain)
    if style == 6:
        return "a list", "\n".join(f"- {key.replace('_', ' ')}: {item}" for key, item in plain)
    if style == 7:
        return "CSV", ",".join(key for key, _ in plain) + "\n" + ",".join(item for _, item in plain)
    return "lines", "\n".join(f"{key.capitalize()} = {item}" for key, item in plain)


def _chat(rng: Random, user: str, answer: str, plain: float = 0.2) -> str:
    if rng.random() < plain:
        return f"{user}\n{rng.choice(('', '---', '->', 'Answer:'))}\n{answer}\n"
    system = ""
    if rng.random() < 0.05:
        system = f"System:\n{rng.choice(('Answer briefly.', 'You are helpful.', 'Use the text only.'))}\n"
    return f"{system}User:\n{user}\nAssistant:\n{answer}"


def _extract(rng: Random) -> str:
    kind, fields = _record(rng)
    text = _prose(rng, fields, asides=3)
    record: Record = [(key, item) for _, key, item in fields]
    if rng.random() < 0.4:  # some field that the text does not give
        left = [slot for slot in DOMAINS[kind] if slot not in [field[0] for field in fields]]
        record += [(rng.choice(slot.names), None) for slot in left[: rng.randint(1, 2)]]
    rng.shuffle(record)
    if len(record) > 2 and rng.random() < 0.3:
        record = record[: rng.randint(2, len(record))]
    record = list(dict(record).items())
    if rng.random() < 0.35:
        record.insert(rng.choice((0, 0, len(record))), (rng.choice(("type", "topic", "about")), kind))
    name, body = _shape(rng, record)
    ask = rng.choice(ASKS).format(f=name)
    if rng.random() < 0.75:
        ask = f"{ask[:-1]} {words.pick(rng, 'with|with the keys|with the fields')} {', '.join(k for k, _ in record)}."
    return _chat(rng, rng.choice((f"{ask}\n\n{text}", f"{ask}\n{text}", f"{text}\n\n{ask}")), body)


def _tell(rng: Random) -> str:
    _, fields = _record(rng, 2, 5)
    _, body = _shape(rng, [(key, item) for _, key, item in fields])
    ask = rng.choice(TELLS)
    return _chat(rng, f"{ask}\n\n{body}", " ".join(_said(rng, slot, item) for slot, _, item in fields))


def _convert(rng: Random) -> str:
    record: Record = list({key: item for _, key, item in _record(rng)[1]}.items())
    _, before = _shape(rng, record)
    if rng.random() < 0.3:
        rng.shuffle(record)
    name, after = _shape(rng, record)
    return _chat(rng, f"{rng.choice(ASKS).format(f=name)}\n\n{before}", after)


def _questions(rng: Random) -> str:
    _, fields = _record(rng, 3, 6)
    text = _prose(rng, fields, asides=3)
    asked = rng.sample(fields, rng.randint(1, min(3, len(fields))))
    pairs = []
    for slot, key, item in asked:
        key = key.replace("_", " ")
        ask = words.pick(rng, QUESTIONS).format(k=key)
        full = str(item)
        if rng.random() < 0.12:
            ask, full = f"{ask} Answer in a sentence.", _said(rng, slot, item)
        pairs.append((ask, full))
    if rng.random() < 0.4:
        ask, full = pairs[0]
        return _chat(rng, rng.choice((f"{text}\n\n{ask}", f"{ask}\n\n{text}")), full)
    return text + "\n\n" + "\n".join(f"Q: {ask}\nA: {full}" for ask, full in pairs)


def _table(rng: Random) -> str:
    slots = rng.choice(list(DOMAINS.values()))
    chosen = rng.sample(slots, min(len(slots), rng.randint(2, 4)))
    keys = [rng.choice(slot.names) for slot in chosen]
    rows = [[str(value(rng, slot.kind)) for slot in chosen] for _ in range(rng.randint(2, 5))]
    mark = rng.choice((",", ",", " | ", "; "))
    text = "\n".join(mark.join(cells) for cells in [keys, *rows])
    row = rng.choice(rows)
    have, want = rng.sample(range(len(keys)), 2)
    if rng.random() < 0.3:
        body = [json.dumps(dict(zip(keys, cells, strict=True)), separators=(",", ":")) for cells in rows]
        return _chat(rng, f"One JSON object a line.\n\n{text}", "\n".join(body))
    return _chat(rng, f"{text}\n\nWhat is the {keys[want]} where {keys[have]} is {row[have]}?", row[want])


def _collect(rng: Random) -> str:
    """Every name, or code, or place of a text, in the order of the text."""
    what, make = rng.choice(
        (("people", words.person), ("codes", words.code), ("places", words.place), ("things", words.product))
    )
    found = [make(rng) for _ in range(rng.randint(1, 4))]
    text = " ".join(rng.choice(FRAMES).format(v=item) for item in found)
    if rng.random() < 0.5:
        return _chat(rng, f"List the {what} as JSON.\n\n{text}", json.dumps(found, separators=(",", ":")))
    return _chat(rng, f"Which {what} are named?\n\n{text}", "\n".join(f"- {item}" for item in found))


def _repeat(rng: Random) -> str:
    """The same invented things twice: nothing but copying."""
    make = rng.choice((words.word, words.person, words.code, words.place, words.product, words.given_name))
    items = [make(rng) for _ in range(rng.randint(1, 8))]
    style = rng.randrange(5)
    if style == 0:
        line = " ".join(items)
        return _chat(rng, f"{words.pick(rng, 'Repeat|Say again|Copy')}: {line}", line)
    if style == 1:
        line = ", ".join(items)
        return f"{line}\n{line}\n{line}" if len(items) < 5 else f"{line}\n{line}"
    if style == 2:
        pairs = {item: str(value(rng, rng.choice(("number", "word", "place", "code")))) for item in items[:6]}
        asked = rng.sample(list(pairs), min(len(pairs), rng.randint(1, 4)))
        text = "\n".join(f"{key}: {item}" for key, item in pairs.items())
        return text + "\n\n" + "\n".join(f"{key}? {pairs[key]}" for key in asked)
    if style == 3:
        return _chat(rng, "\n".join(items) + "\n\nAs a JSON array.", json.dumps(items, separators=(",", ":")))
    item = items[0]
    return "\n".join(rng.choice(QUOTES).format(v=item) for _ in range(rng.randint(3, 6)))


SHAPES = (
    (34, _extract), (6, _tell), (6, _convert), (16, _questions), (6, _table), (5, _collect), (12, _repeat),
    (11, stories.story), (4, stories.exchange),
)  # fmt: skip


def document(rng: Random) -> str:
    """One document."""
    return rng.choices([make for _, make in SHAPES], [weight for weight, _ in SHAPES])[0](rng)


def documents(seed: int, characters: int) -> Iterator[str]:
    """Documents of about ``characters`` characters together; the same seed gives the same ones."""
    rng = Random(f"starter-corpus-{seed}")
    total = 0
    while total < characters:
        text = document(rng)
        total += len(text)
        yield text
