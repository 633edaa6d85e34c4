"""A small general corpus that ships with Tunery, to be mixed into training against forgetting.

Invented questions and answers, and invented documents, written from a seed: nothing in it is anybody's. It is small;
an administrator can designate a larger one.
"""

from collections.abc import Iterator
from random import Random

from tunery.starter.corpus import document

NAME = "tunery-general"
ROWS = 2000
LICENCE = "Apache-2.0"
_ASKED, _ANSWERED = "User:\n", "\nAssistant:\n"


def exchanges() -> Iterator[tuple[str, str]]:
    """Questions with their answers; always the same ones."""
    made = 0
    for text in _documents():
        asked, mark, answered = text.partition(_ANSWERED)
        if not mark or not asked.startswith(_ASKED) or _ANSWERED in answered:
            continue
        yield asked.removeprefix(_ASKED), answered
        made += 1
        if made == ROWS:
            return


def texts() -> Iterator[str]:
    """Documents; always the same ones."""
    for made, text in enumerate(_documents()):
        if made == ROWS:
            return
        yield text


def _documents() -> Iterator[str]:
    random = Random("tunery-general-1")
    while True:
        yield document(random)
