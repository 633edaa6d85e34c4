"""Made curves with noise: good ones of many kinds, and ones with one fault each. All follow from a `Random`."""

import math
from collections.abc import Callable
from random import Random

from tunery.diagnosis.history import Curve, History

Change = Callable[[list[float], list[float], Random], None]
"""Puts a fault into losses and learning rates."""


def history(
    losses: list[float],
    rates: list[float],
    validation: tuple[list[int], list[float]] = ([], []),
    **more: object,
) -> History:
    """An ended training of these losses, one a step."""
    steps = list(range(1, len(losses) + 1))
    settings = {"learning_rate": max(rates), "finetuning_type": "lora"}
    return History(
        train=Curve.of(steps, losses),
        validation=Curve.of(*validation),
        learning_rate=Curve.of(steps, rates),
        grad_norm=Curve.of(steps, [1.0] * len(steps)),
        steps=len(steps),
        ended=True,
        settings=settings,
        **more,  # pyright: ignore[reportArgumentType]
    )


def rates(count: int, shape: str, warmup: int) -> list[float]:
    """A schedule with its peak at 1e-4."""
    found = []
    for step in range(count):
        if step < warmup:
            found.append(1e-4 * (step + 1) / warmup)
            continue
        share = (step - warmup) / max(1, count - warmup)
        falls = {"linear": 1 - share, "cosine": (1 + math.cos(math.pi * share)) / 2, "constant": 1.0}
        found.append(1e-4 * falls[shape])
    return found


def falling(rng: Random, count: int, schedule: list[float], noise: float) -> list[float]:
    """What a good training's losses look like: fast, then slow, as far as the learning rate moves it; batches differ.

    At a constant rate it is still learning at the end.
    """
    start = rng.uniform(1.2, 4.0)
    floor = start * rng.uniform(0.35, 0.8)
    pace = (rng.uniform(1, 2.5) if schedule[-1] == max(schedule) else rng.uniform(3, 12)) / sum(schedule)
    spent = 0.0
    losses = []
    for rate in schedule:
        spent += rate
        level = floor + (start - floor) * math.exp(-pace * spent)
        losses.append(level * math.exp(rng.gauss(0, noise)))
    return losses


def good(seed: int) -> History:
    """Lengths of 30 to 800 steps, three schedules, batch noise from 1 % to 30 %, validation in every second."""
    rng = Random(seed)
    count = rng.choice([30, 60, 120, 250, 500, 800])
    shape = rng.choice(["linear", "cosine", "constant"])
    schedule = rates(count, shape, rng.choice([0, count // 20, count // 10]))
    losses = falling(rng, count, schedule, rng.choice([0.01, 0.05, 0.1, 0.2, 0.3]))
    validation: tuple[list[int], list[float]] = ([], [])
    if rng.random() < 0.5:
        every = max(1, count // 10)
        steps = list(range(every, count + 1, every))
        around = [sum(losses[max(0, step - every) : step]) / min(step, every) for step in steps]
        calm = [min(around[: at + 1]) * 1.03 for at in range(len(around))]
        validation = (steps, [value * math.exp(rng.gauss(0, 0.003)) for value in calm])
    return history(losses, schedule, validation)


def flat(rng: Random) -> History:
    """A learning rate that is far too low: noise around one level."""
    count = rng.choice([40, 100, 300])
    level = rng.uniform(1.2, 4.0)
    return history([level * math.exp(rng.gauss(0, 0.1)) for _ in range(count)], rates(count, "linear", 0))


def slow(rng: Random) -> History:
    """A straight, gentle slope to the end."""
    count = rng.choice([200, 400])
    level, fall = rng.uniform(1.2, 4.0), rng.uniform(0.06, 0.12)
    losses = [level * (1 - fall * at / count) * math.exp(rng.gauss(0, 0.02)) for at in range(count)]
    return history(losses, rates(count, "constant", 0))


def still(rng: Random) -> History:
    """A fall in the first fifth, then nothing at a constant learning rate."""
    count = rng.choice([100, 300])
    start = rng.uniform(1.5, 4.0)
    floor = start * 0.6
    losses = [
        (floor + (start - floor) * math.exp(-25 * at / count)) * math.exp(rng.gauss(0, 0.03))
        for at in range(count)
    ]
    return history(losses, rates(count, "constant", 0))


def waves(rng: Random) -> History:
    """Swings of a fifth of the level around a falling trend."""
    count = rng.choice([100, 250])
    period = rng.choice([2, 5, 11, 24])
    losses = [
        (2 + math.exp(-6 * at / count))
        * (1 + 0.3 * math.sin(2 * math.pi * (at + 0.5) / period))
        * math.exp(rng.gauss(0, 0.05))
        for at in range(count)
    ]
    return history(losses, rates(count, "constant", 0))


def peaks(rng: Random) -> History:
    """One to four steps whose loss is three times the usual."""
    count = rng.choice([60, 200])
    schedule = rates(count, "cosine", 0)
    losses = falling(rng, count, schedule, 0.05)
    marked = sorted(rng.sample(range(12, count - 6, 6), rng.randint(1, 4)))
    for at in marked:
        losses[at] *= rng.uniform(3, 6)
    rows = {at + 1: (7 * at + 1, 7 * at + 2) for at in marked}
    return history(losses, schedule, standing_out=rows)


def rising(rng: Random) -> History:
    """A fall, then a rise beyond the beginning, at a constant learning rate."""
    count = rng.choice([60, 200])
    start, turn = rng.uniform(1.5, 4.0), rng.uniform(0.3, 0.7)
    losses = []
    for at in range(count):
        share = at / count
        level = (
            start * (1 - 0.4 * share / turn)
            if share < turn
            else start * (0.6 + 1.2 * (share - turn) / (1 - turn))
        )
        losses.append(level * math.exp(rng.gauss(0, 0.08)))
    return history(losses, rates(count, "constant", 0))


def hump(rng: Random) -> History:
    """Up while the learning rate is high, down when it falls."""
    count = rng.choice([60, 200])
    schedule = rates(count, "linear", count // 10)
    start = rng.uniform(1.5, 4.0)
    losses = []
    for at in range(count):
        share = at / count
        level = (
            start * (1 + 2.5 * share) if share < 0.25 else start * (0.6 + 1.0 * math.exp(-4 * (share - 0.25)))
        )
        losses.append(level * math.exp(rng.gauss(0, 0.08)))
    return history(losses, schedule)


def by_heart(rng: Random) -> History:
    """Validation turns up at the middle while training goes on falling."""
    count = rng.choice([60, 200])
    schedule = rates(count, "constant", 0)
    losses = [2.5 * math.exp(-2 * at / count) * math.exp(rng.gauss(0, 0.1)) for at in range(count)]
    steps = list(range(count // 10, count + 1, count // 10))
    turn = rng.randint(3, 6)
    values = [
        2.5 - 0.12 * min(n, turn) + 0.08 * max(0, n - turn) + rng.gauss(0, 0.005) for n in range(len(steps))
    ]
    return history(losses, schedule, (steps, values))


FAULTS: dict[str, tuple[Callable[[Random], History], str]] = {
    "flat": (flat, "under_fitting"),
    "slow": (slow, "under_fitting"),
    "still": (still, "plateau"),
    "waves": (waves, "oscillation"),
    "peaks": (peaks, "spike"),
    "rising": (rising, "divergence"),
    "hump": (hump, "learning_rate_too_high"),
    "by_heart": (by_heart, "over_fitting"),
}
"""What is made, and the finding that must be among those it gives."""
