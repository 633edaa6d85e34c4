"""Signs that an answer, or a plain text, teaches badly. They are told by its words and characters alone.

A text begins with a score of 1 and loses for every sign. The module knows nothing of datasets.
"""

import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from tunery.data.questions import plain
from tunery.data.rows import Captioned, Labelled, Preference, Row, Text

SignName = Literal[
    "repetition", "broken_characters", "refusal", "echo", "nothing_said", "placeholder", "markup", "capitals", "cut_off"
]  # fmt: skip
_LOOKED_AT = 20_000
"""Characters of one text."""
_LONG = 200
_REPETITIVE = 0.12
"""Text as people write it packs to a third or half of its size, tables to a fifth."""

_BROKEN = re.compile("\ufffd|[\ue000-\uf8ff]|Ã[\x80-\xbf]|â€[\x80-\xbf™œ“”]|ï»¿|锟斤拷")
_REFUSAL = re.compile(
    r"\bas an? (ai|artificial intelligence|(large )?language model)\b"
    r"|\bi(['’]m| am) sorry, but (i|as)\b|\bi (can['’]?t|cannot|am unable to) (assist|help|fulfill|comply)\b"
    r"|\bals (ki|ai|sprachmodell)\b|\b(es )?tut mir leid, aber ich\b"
    r"|作为(一个|一种)?(ai|人工智能|语言模型)|(ai|言語)モデルとして|申し訳(ございません|ありません)が",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\[(your|insert|enter|add)\b[^\]\n]{0,40}\]|<(your|insert)\b[^>\n]{0,40}>|\blorem ipsum\b|\{\{[^{}\n]{0,40}\}\}",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"&(nbsp|amp|lt|gt|quot|#\d{2,5});|</?(div|span|br|p|td|tr|li|ul|a|script|style)\b[^>\n]{0,200}>",
    re.IGNORECASE,
)


class Sign(NamedTuple):
    """One sign; `found` is given a question, perhaps empty, and its answer."""

    says: str
    costs: float
    found: Callable[[str, str], bool]


class Judged(NamedTuple):
    """The score of a row, from 0 to 1, and the signs that lowered it."""

    score: float
    signs: list[SignName]


def judge(row: Row, ignored: Collection[SignName] = ()) -> Judged:
    """The row is as good as the worst text in it that is to be learnt."""
    worst = Judged(1.0, [])
    for question, answer in _learnt(row):
        question, answer = question[:_LOOKED_AT], answer[:_LOOKED_AT]
        found: list[SignName] = [
            name for name, sign in SIGNS.items() if name not in ignored and sign.found(question, answer)
        ]
        score = max(0.0, round(1 - sum(SIGNS[name].costs for name in found), 6))
        worst = min(worst, Judged(score, found), key=lambda one: one.score)
    return worst


def _learnt(row: Row) -> Iterator[tuple[str, str]]:
    """Each text that a model is to say, with the question before it. Answers that nobody wants are no part of it."""
    if isinstance(row, Text | Captioned):
        yield "", row.text if isinstance(row, Text) else row.caption
        return
    if isinstance(row, Labelled) and not row.label:
        return
    messages = (*row.messages, row.chosen) if isinstance(row, Preference) else row.messages
    question = ""
    for message in messages:
        if message.role == "assistant":
            yield question, message.text
        elif message.role == "user":
            question = message.text


def _repeats(_: str, answer: str) -> bool:
    raw = answer.encode("utf-8", "surrogatepass")
    return len(answer) >= _LONG and len(zlib.compress(raw, 6)) < _REPETITIVE * len(raw)


def _echoes(question: str, answer: str) -> bool:
    asked, said = plain(question), plain(answer)
    return len(asked) >= 20 and said.startswith(asked) and len(said) < 1.2 * len(asked)


def _shouts(_: str, answer: str) -> bool:
    capitals, small = sum(map(str.isupper, answer)), sum(map(str.islower, answer))
    return capitals + small >= 40 and capitals > 0.7 * (capitals + small)


def _marked_up(question: str, answer: str) -> bool:
    wanted = "```" in answer or re.search("html|xml|markup", question, re.IGNORECASE)
    return not wanted and len(_MARKUP.findall(answer)) > 1


def _cut_off(question: str, answer: str) -> bool:
    """Only where there was a question: a text may be a piece of a larger one."""
    return bool(question) and len(answer) >= _LONG and (answer.rstrip()[-1:] == "," or answer[-1:].isspace())


SIGNS: Mapping[SignName, Sign] = {
    "repetition": Sign("it repeats itself", 0.6, _repeats),
    "broken_characters": Sign("it holds broken characters", 0.6, lambda _, answer: bool(_BROKEN.search(answer))),
    "refusal": Sign("it refuses, or speaks as an AI", 0.6, lambda _, answer: bool(_REFUSAL.search(answer[:400]))),
    "echo": Sign("it repeats the question", 0.6, _echoes),
    "nothing_said": Sign("it holds no letter or digit", 0.6, lambda _, answer: not any(map(str.isalnum, answer))),
    "placeholder": Sign("it leaves a gap to fill in", 0.3, lambda _, answer: bool(_PLACEHOLDER.search(answer))),
    "markup": Sign("it holds the remains of a web page", 0.3, _marked_up),
    "capitals": Sign("it is written in capitals", 0.3, _shouts),
    "cut_off": Sign("it ends in the middle", 0.3, _cut_off),
}  # fmt: skip
