"""Prices are exact: hours in steps of 0.01 rounded up, tokens by the million, the sum in millionths."""

from decimal import Decimal

import pytest

from tunery.core.settings import ServerSettings
from tunery.schemas.cost import Cost, Prices
from tunery.services.prices import billed_hours, micro_of, prices_of

STEP = 36_000_000


@pytest.mark.parametrize(
    ("microseconds", "hours"),
    [
        (0, "0"),
        (1, "0.01"),
        (STEP - 1, "0.01"),
        (STEP, "0.01"),
        (STEP + 1, "0.02"),
        (100 * STEP, "1"),
        (100 * STEP + 1, "1.01"),
        (10**15 * STEP, "1e13"),
    ],
)
def test_time_is_rounded_up_to_a_hundredth_of_an_hour(microseconds: int, hours: str) -> None:
    assert billed_hours(microseconds) == Decimal(hours)


@pytest.mark.parametrize(
    ("per_hour", "per_million", "hours", "tokens", "micro"),
    [
        ("0.1", None, "0.03", 5, 3000),
        (None, "0.3", "7", 1_000_000, 300_000),
        (None, "0.3", None, 1, 0),
        (None, "0.5", None, 1, 1),
        (None, "3", None, 333_333, 999_999),
        ("19.99", "0.07", "12.34", 123_456_789, 246_676_600 + 8_641_975),
        ("0", None, "5", None, 0),
        ("2", "3", None, 10, None),
        ("2", None, None, 10, None),
    ],
)
def test_the_sum_is_exact(
    per_hour: str | None, per_million: str | None, hours: str | None, tokens: int | None, micro: int | None
) -> None:
    prices = Prices(
        currency="EUR",
        per_hour=None if per_hour is None else Decimal(per_hour),
        per_million_tokens=None if per_million is None else Decimal(per_million),
    )
    assert micro_of(prices, None if hours is None else Decimal(hours), tokens) == micro


def test_idle_time_has_prices_of_its_own_where_they_are_set() -> None:
    assert prices_of(ServerSettings(), idle_time=False) is None
    settings = ServerSettings(
        currency="EUR",
        price_per_hour=Decimal("2.50"),
        price_per_million_tokens=Decimal(1),
        idle_price_per_hour=0,
    )
    usual, idle = (prices_of(settings, idle_time=idle) for idle in (False, True))
    assert usual == Prices(currency="EUR", per_hour=Decimal("2.50"), per_million_tokens=Decimal(1))
    assert idle == Prices(currency="EUR", per_hour=Decimal(0), per_million_tokens=Decimal(1), idle_time=True)
    assert Prices.model_validate(usual.model_dump(mode="json")) == usual


def test_it_is_written_as_people_do() -> None:
    prices = Prices(currency="EUR", per_hour=Decimal(1))
    assert Cost(stage="bill", prices=prices, micro=1_234_567_890).amount == "1,234.57 EUR"
    assert Cost(stage="estimate", prices=prices).amount is None
