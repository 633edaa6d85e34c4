"""The sample task: messages from customers, to be turned into compact JSON tickets.

Every value (people, order codes, products, towns) is invented from the seed; a product is an invented brand and
a common word for the kind of thing. Half of the held-out rows use only values that no training row shows; the
other half use values that training did show, in new messages. Messages
also carry names, codes and numbers that do not belong in the ticket. The module writes Alpaca rows
(``instruction``, ``input``, ``output``) and knows nothing of the model that will read them; the extra key
``slots`` of a held-out row says which half it is in.

    python -m tunery.starter.sample FOLDER --seed 7 --train 3000 --held-out 400
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tunery.starter import words

Row = dict[str, str]

INSTRUCTION = "Write the support ticket for this message."

GREETINGS = words.items(
    "Hello.|Hi there.|Good morning.|Dear team,|Hello {g},|Hi.|Good evening.|To whom it may concern:",
    "|",
)
BOUGHT = words.items(
    "I bought {q} {i} from you.|I ordered {q} {i}.|We bought {q} {i} last week.|You sent me {q} {i}.|"
    "My order was for {q} {i}.|It is about {q} {i}.|Last month we ordered {q} {i}.",
    "|",
)
ONE = words.items(
    "I bought the {i}.|It is about the {i}.|I have a question about my {i}.|We ordered the {i}.|"
    "My order was the {i}.",
    "|",
)
ORDER = words.items(
    "The order number is {o}.|My order is {o}.|It was order {o}.|Order {o}.|You will find it under {o}.|"
    "The reference is {o}.",
    "|",
)
WANTS = {
    "refund": (
        "I want my money back.|Please refund me.|Could you return what I paid?|A refund would be best.|"
        "Please pay the price back."
    ),
    "exchange": (
        "Please swap it for another one.|I would like to exchange it.|"
        "Can I change it for another colour?|Could I get a different size instead?"
    ),
    "cancel": (
        "Please cancel it.|I do not need it any more, please stop the order.|"
        "Can you call off the order?|I want to cancel before it is sent."
    ),
    "late": (
        "It has not come yet.|Where is my parcel?|It should have been here days ago.|"
        "I am still waiting for it."
    ),
    "damaged": (
        "It arrived broken.|There is a crack in it.|It came with a big scratch.|"
        "The box was open and it is in pieces."
    ),
    "missing": (
        "A part is not in the box.|One piece is missing.|The screws were not in the parcel.|"
        "I did not get all the parts."
    ),
    "invoice": (
        "Please send me the invoice.|I need a bill for it.|Could I have a receipt?|I still need the invoice."
    ),
    "address": (
        "Please send it to {t} instead.|I have moved to {t}.|My new address is in {t}.|"
        "It should go to {t} now."
    ),
}
ASIDES = words.items(
    "My neighbour {p} has one too.|I spoke with {g} on the phone.|My other order {c} was fine.|"
    "I paid {b} coins for it.|I have waited {n} days.|It was a gift for {p}.|I called {n} times.|"
    "{g} in your shop was very kind.|This is not about order {c}.|I found your shop in {u}.|"
    "My sister {g} told me to write.|I am {y} years old.",
    "|",
)
SIGNED = words.items(
    "Regards, {p}|Best wishes, {p}|Thanks, {p}|{p}|Yours, {p}|My name is {p}.|"
    "This is {p}.|I am {p}.|Kind regards, {p}",
    "|",
)


def _order(rng: Random) -> str:
    return f"{words.letters(rng, 2, 2)}-{words.digits(rng, 5, 5)}"


@dataclass
class Pools:
    """The values that messages may use."""

    people: list[str]
    orders: list[str]
    items: list[str]
    towns: list[str]


class _Maker:
    """Makes pools that share no word and no value with those it made before."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.taken: set[str] = set()

    def fresh(self, make: Callable[[Random], str], count: int) -> list[str]:
        return words.distinct(self.rng, count, make, self.taken)

    def pools(self, size: int) -> Pools:
        given = self.fresh(words.given_name, size)
        family = self.fresh(words.surname, size)
        people = [f"{first} {last}" for first, last in zip(given, family, strict=True)]
        items = [f"{brand} {self.rng.choice(words.NOUNS)}" for brand in self.fresh(words.brand, size)]
        return Pools(people, self.fresh(_order, size), items, self.fresh(words.place, size))


def _message(rng: Random, pools: Pools) -> tuple[str, dict[str, str | int | None]]:
    intent = rng.choice(list(WANTS))
    ticket: dict[str, str | int | None] = {"intent": intent, "name": None, "order": None}
    item, town = rng.choice(pools.items), rng.choice(pools.towns)
    ticket["item"] = item
    ticket["quantity"] = None
    if rng.random() < 0.6:
        count = rng.randint(2, 9)
        shown = words.NUMBER_WORDS[count] if rng.random() < 0.5 else str(count)
        joined = rng.choice((f"{shown} of the {item}", f"{shown} pieces of the {item}", f"{count} x {item}"))
        middle = [rng.choice(BOUGHT).replace("{q} {i}", joined)]
        ticket["quantity"] = count
    else:
        middle = [rng.choice(ONE).format(i=item)]
    middle.append(rng.choice(WANTS[intent].split("|")).format(t=town))
    if intent == "address":
        ticket["town"] = town
    if rng.random() < 0.8:
        order = rng.choice(pools.orders)
        ticket["order"] = order
        middle.insert(rng.randint(0, 2), rng.choice(ORDER).format(o=order))
    for aside in rng.sample(ASIDES, rng.choice((0, 1, 1, 2))):
        text = aside.format(
            p=rng.choice(pools.people), g=rng.choice(pools.people).split()[0], c=rng.choice(pools.orders),
            u=rng.choice(pools.towns), n=rng.randint(2, 12), b=words.digits(rng, 2, 3), y=rng.randint(18, 90),
        )  # fmt: skip
        middle.insert(rng.randint(0, len(middle)), text)
    if rng.random() < 0.5:
        middle.insert(0, rng.choice(GREETINGS).format(g=rng.choice(pools.people).split()[0]))
    if rng.random() < 0.85:
        ticket["name"] = rng.choice(pools.people)
        line = rng.choice(SIGNED).format(p=ticket["name"])
        if line.endswith(".") and rng.random() < 0.5:
            middle.insert(rng.randint(0, 1), line)
        else:
            middle.append(line)
    return " ".join(middle), ticket


def _row(rng: Random, pools: Pools) -> Row:
    text, ticket = _message(rng, pools)
    body = json.dumps(ticket, separators=(",", ":"), ensure_ascii=False)
    return {"instruction": INSTRUCTION, "input": text, "output": body}


def _values(row: Row) -> list[str]:
    """The invented values that the row's ticket holds."""
    ticket = json.loads(row["output"])
    return [ticket[key] for key in ("name", "order", "item", "town") if ticket.get(key)]


def _shown(tickets: list[Row], pools: Pools) -> Pools:
    """The part of the pools that the rows' messages show."""
    text = "\n".join(row["input"] for row in tickets)
    full = [row["output"] for row in tickets]
    names = {json.loads(body)["name"] for body in full}
    return Pools(
        [person for person in pools.people if person in names],
        [order for order in pools.orders if order in text],
        [item for item in pools.items if item in text],
        [town for town in pools.towns if town in text],
    )


def rows(seed: int, train: int, held_out: int) -> tuple[list[Row], list[Row]]:
    """The training rows and the held-out rows of a seed."""
    rng = Random(f"sample-task-{seed}")
    maker = _Maker(rng)
    known = maker.pools(max(20, train))
    new = maker.pools(max(20, held_out))
    training = [_row(rng, known) for _ in range(train)]
    inputs = {row["input"] for row in training}
    shown = _shown(training, known)
    text = "\n".join(row["input"] for row in training)
    held: list[Row] = []
    while len(held) < held_out:
        half = "seen" if len(held) % 2 == 0 else "unseen"
        row = _row(rng, shown if half == "seen" else new)
        if half == "unseen" and any(part in text for part in _values(row)):
            continue  # a town's name may be part of a longer one's
        if row["input"] not in inputs:
            inputs.add(row["input"])
            held.append({**row, "slots": half})
    return training, held


def write(folder: Path, seed: int, train: int, held_out: int) -> None:
    """Write ``train.jsonl`` and ``held_out.jsonl`` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in zip(("train", "held_out"), rows(seed, train, held_out), strict=True):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the sample task's rows.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--held-out", type=int, default=400)
    args = parser.parse_args()
    write(args.folder, args.seed, args.train, args.held_out)


if __name__ == "__main__":
    main()
