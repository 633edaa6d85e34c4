"""Plain English for the pretraining corpus: little stories and small exchanges.

The sentences come from templates over word lists, so they are grammatical and dull. They know nothing of
records or formats; their use is ordinary word order, and names that come back later in the text.
"""

from __future__ import annotations

from random import Random

from tunery.starter import words

FRAMES = words.items(
    "{n} {v} the {a} {o}.|{n} went to the {w} {t}.|There was a {a} {o} in the {w}.|The {p} {v} a {o} {t}.|"
    'The {z} looked at {n}.|"{e}," said {n}.|"{e}," said the {p}.|{n} and {m} {v} the {o} together.|'
    "{t}, {n} {v} the {o}.|The {o} was {a}, but the {s} was not.|{n} did not like the {z}.|{m} gave {n} a {o}.|"
    "{n} put the {o} near the {w}.|Nobody knew where the {o} was.|{n} asked {m} about the {a} {o}.|"
    "In the {w} lived a {p} and a {a} {z}.|The {p} had {k} {o}s.|{m} was glad to see the {o} again.",
    "|",
)
SAYINGS = words.items(
    "I will help you|Where is my {o}|Please wait for me|This {o} is too {a}|I have never seen such a {z}|"
    "We should go to the {w}|Come with me, {n}|It is not mine, {m}|You are right|Let us try again",
    "|",
)
LESSONS = words.items(
    "Since then {n} always kept the {o}.|In the end {n} and {m} were friends.|And so the {o} came back to {m}.|"
    "That is why the {w} is called {n}'s {w}.|{n} went home happy.",
    "|",
)
GREETINGS = words.items(
    "Hello!=Hello! How can I help you?|Good morning.=Good morning! What can I do for you?|"
    "Thank you.=You are welcome.|How are you?=I am fine, thank you.|Who are you?=I am a small language model.|"
    "Goodbye.=Goodbye!|Can you help me?=Yes. What do you need?|What can you do?=I can read a text and answer "
    "questions about it.",
    "|",
)


def _fill(rng: Random, frame: str, fixed: dict[str, str]) -> str:
    text = frame.format(
        **fixed, v=rng.choice(words.PAST), a=rng.choice(words.ADJECTIVES), t=rng.choice(words.TIMES),
        s=rng.choice(words.NOUNS), k=rng.choice(words.NUMBER_WORDS[2:]), e="{e}",
    )  # fmt: skip
    if "{e}" in text:
        saying = rng.choice(SAYINGS).format(**fixed, a=rng.choice(words.ADJECTIVES))
        text = text.replace("{e}", saying)
    return text[0].upper() + text[1:]


def story(rng: Random) -> str:
    """A little story of four to nine sentences about two invented people."""
    fixed = {
        "n": words.given_name(rng), "m": words.given_name(rng), "o": rng.choice(words.NOUNS),
        "w": rng.choice(words.PLACES), "z": rng.choice(words.ANIMALS), "p": rng.choice(words.PEOPLE),
    }  # fmt: skip
    lines = [_fill(rng, rng.choice(FRAMES), fixed) for _ in range(rng.randint(3, 7))]
    if rng.random() < 0.6:
        lines.append(_fill(rng, rng.choice(LESSONS), fixed))
    text = " ".join(lines)
    if rng.random() < 0.25:
        return f"User:\nTell me a story about {fixed['n']} and a {fixed['o']}.\nAssistant:\n{text}"
    return f"{fixed['n']} and the {fixed['o']}\n\n{text}" if rng.random() < 0.3 else text


def exchange(rng: Random) -> str:
    """A question and its short answer."""
    style = rng.randrange(7)
    if style == 0:
        ask, answer = rng.choice(GREETINGS).split("=")
    elif style == 1:
        name = words.given_name(rng)
        ask, answer = f"Hello, I am {name}.", f"Hello {name}, nice to meet you."
    elif style == 2:
        a, b = rng.randint(0, 12), rng.randint(0, 12)
        ask, answer = f"What is {a} plus {b}?", str(a + b)
    elif style == 3:
        item = words.given_name(rng)
        ask, answer = f"Spell {item}.", "-".join(item)
    elif style == 4:
        number = rng.randint(1, 12)
        ask, answer = f"Write {words.NUMBER_WORDS[number]} as a number.", str(number)
    elif style == 5:
        ask = f"Is a {rng.choice(words.NOUNS + words.ANIMALS)} an animal?"
        answer = "Yes." if any(f"a {animal} " in ask for animal in words.ANIMALS) else "No."
    else:
        names = [words.given_name(rng) for _ in range(rng.randint(3, 5))]
        place = rng.randrange(3)
        ask = f"{', '.join(names)}. Who is {('first', 'second', 'third')[place]}?"
        answer = names[place]
    return f"User:\n{ask}\nAssistant:\n{answer}"
