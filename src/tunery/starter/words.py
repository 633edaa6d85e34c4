"""Invented names, codes, numbers and plain English word lists, all drawn from a ``random.Random``.

This is the raw material of both the pretraining corpus and the sample task. Names are put together from
syllables, so there are far more of them than any run can show; the module does not know who uses them,
and it keeps no state: the same generator state gives the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random


def items(text: str, mark: str | None = None) -> tuple[str, ...]:
    """The parts of a list that is written as one string."""
    return tuple(text.split(mark))


ONSETS = items(
    "b c d f g h j k l m n p r s t v w z b d f g k l m n p r s t v br ch cl cr dr fl fr gl gr kr pl pr qu sh sk "
    "sl sn sp st str th tr vr y zh"
)
VOWELS = items("a e i o u a e i o u a e i o a e o ai ea ee ia ie io oa ou ue y")
CODAS = items("b ck d g k l ll m n nd ng nt p r rd rk rn rt s sk ss st t th v x l m n r s t")
NAME_ENDS = items("a ia en in on el is us ie o y an ek as eth ine or ar ova ina")
SURNAME_ENDS = items("son ley ford well man berg ova ski ton er ins ard ett holm wick stein ez as ak low")
PLACE_ENDS = items(
    "ton ville ford bury dale port mouth stad holm by field ham wick more gate burg haven ness"
)
PLACE_STARTS = items("Port Lake New Old Upper Lower North South East West Mount Saint Fort")

NOUNS = items(
    "apple bag basket bell bench bicycle blanket boat book bottle bowl box bridge brush bucket button cabinet "
    "cake camera candle carpet cart chair clock cloth coat coin comb crate cup curtain desk dish door drum "
    "engine envelope fan feather fence flag flute fork frame garden gate glass glove guitar hammer hat helmet "
    "horn jacket jar kettle key kite knife ladder lamp lantern lid lock map mask mat mirror mug needle net "
    "notebook oven paddle painting pan paper parcel pen pencil piano pillow pipe plate plough pot pump purse "
    "quilt radio rake ribbon ring robe rope rug sack saddle sail scarf shelf shirt shoe shovel sign sofa spoon "
    "stamp stool stove string suitcase table tent ticket towel toy tray trumpet trunk tub umbrella vase "
    "violin wagon wallet watch wheel whistle window wrench yarn"
)
ADJECTIVES = items(
    "red blue green yellow white black brown grey small large heavy light old new broken clean quiet loud "
    "bright dark warm cold wooden iron glass silver copper cheap rare plain round square narrow wide soft "
    "hard strange lovely simple empty full thin thick long short wet dry"
)
ANIMALS = items(
    "cat dog horse goat sheep fox owl crow duck hen mouse rabbit bear wolf deer otter beaver frog"
)
PEOPLE = items(
    "farmer baker teacher sailor doctor driver painter singer miller guard clerk cook nurse pilot weaver "
    "gardener carpenter fisher librarian student"
)
PAST = items(
    "found lost bought sold carried cleaned painted dropped fixed opened moved watched borrowed kept hid "
    "measured wrapped lifted pushed counted"
)
PLACES = items(
    "market harbour kitchen garden station school library barn workshop square river forest mill tower cellar "
    "attic field bridge island village"
)
TIMES = items(
    "in the morning,at noon,in the evening,after the rain,before dinner,on a cold day,last week,early in "
    "spring,late at night,every day,once a year,after a long walk",
    ",",
)
DAYS = items("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = items("January February March April May June July August September October November December")
NUMBER_WORDS = items("zero one two three four five six seven eight nine ten eleven twelve")
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def pick(rng: Random, options: str) -> str:
    """One of the options written as ``a|b|c``."""
    return rng.choice(items(options, "|"))


def syllables(rng: Random, low: int, high: int) -> str:
    """A lower-case invented stem of ``low`` to ``high`` syllables."""
    count = rng.randint(low, high)
    parts = []
    for index in range(count):
        onset = rng.choice(ONSETS) if index or rng.random() < 0.88 else ""
        coda = rng.choice(CODAS) if rng.random() < (0.5 if index == count - 1 else 0.25) else ""
        parts.append(onset + rng.choice(VOWELS) + coda)
    return "".join(parts)


def word(rng: Random) -> str:
    """An invented lower-case word such as ``tralm`` or ``veiso``."""
    return syllables(rng, 1, 3)


def _name(rng: Random, ends: tuple[str, ...]) -> str:
    if rng.random() < 0.65:
        return (syllables(rng, 1, 1 if rng.random() < 0.6 else 2) + rng.choice(ends)).capitalize()
    return syllables(rng, 1, 2).capitalize()


def given_name(rng: Random) -> str:
    """An invented given name."""
    return _name(rng, NAME_ENDS)


def surname(rng: Random) -> str:
    """An invented surname."""
    return _name(rng, SURNAME_ENDS)


def person(rng: Random) -> str:
    """A given name and a surname."""
    return f"{given_name(rng)} {surname(rng)}"


def place(rng: Random) -> str:
    """An invented town."""
    name = _name(rng, PLACE_ENDS)
    return f"{rng.choice(PLACE_STARTS)} {name}" if rng.random() < 0.15 else name


def brand(rng: Random) -> str:
    """An invented product or company word."""
    return syllables(rng, 1 if rng.random() < 0.2 else 2, 2 if rng.random() < 0.8 else 3).capitalize()


def product(rng: Random) -> str:
    """A brand word and a thing, now and then with an adjective between them."""
    middle = f" {rng.choice(ADJECTIVES)}" if rng.random() < 0.2 else ""
    return f"{brand(rng)}{middle} {rng.choice(NOUNS)}"


def digits(rng: Random, low: int, high: int) -> str:
    """A run of digits that does not start with zero."""
    count = rng.randint(low, high)
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(count - 1))


def letters(rng: Random, low: int, high: int) -> str:
    """A run of capital letters."""
    return "".join(rng.choice(UPPER) for _ in range(rng.randint(low, high)))


def code(rng: Random) -> str:
    """An invented reference code in one of several shapes."""
    shape = rng.randrange(6)
    if shape <= 1:
        return f"{letters(rng, 1, 3)}-{digits(rng, 3, 6)}"
    if shape == 2:
        return f"{letters(rng, 1, 3)}{digits(rng, 3, 6)}"
    if shape == 3:
        return f"{digits(rng, 3, 5)}-{letters(rng, 1, 2)}"
    if shape == 4:
        return f"{digits(rng, 2, 4)}/{digits(rng, 2, 4)}"
    return digits(rng, 4, 8)


def date(rng: Random) -> str:
    """A date in one of several shapes."""
    shape = rng.randrange(3)
    if shape == 0:
        return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"
    if shape == 1:
        return f"{rng.choice(MONTHS)} {rng.randint(1, 28)}"
    return f"20{rng.randint(10, 39)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def clock(rng: Random) -> str:
    """A time of day."""
    return f"{rng.randint(0, 23)}:{rng.choice((0, 5, 10, 15, 20, 30, 40, 45, 50)):02d}"


def distinct(
    rng: Random, count: int, make: Callable[[Random], str], taken: set[str] | None = None
) -> list[str]:
    """``count`` different values of ``make(rng)``, none of them in ``taken`` (which they are added to)."""
    seen = set() if taken is None else taken
    values: list[str] = []
    while len(values) < count:
        value = make(rng)
        if value not in seen:
            seen.add(value)
            values.append(value)
    return values
