"""Arithmetic of prices: exact, by decimal numbers. It knows neither runs nor a database."""

from decimal import ROUND_HALF_UP, Decimal

from tunery.core.settings import ServerSettings
from tunery.schemas.cost import Prices

_STEP_US = 36_000_000
"""0.01 hours."""
_MILLION = Decimal(1_000_000)


def prices_of(settings: ServerSettings, *, idle_time: bool) -> Prices | None:
    """The price table for a run; None where no price is set."""
    hour, tokens = settings.price_per_hour, settings.price_per_million_tokens
    if idle_time:
        hour = hour if settings.idle_price_per_hour is None else settings.idle_price_per_hour
        tokens = (
            tokens
            if settings.idle_price_per_million_tokens is None
            else settings.idle_price_per_million_tokens
        )
    if hour is None and tokens is None:
        return None
    return Prices(currency=settings.currency, per_hour=hour, per_million_tokens=tokens, idle_time=idle_time)


def billed_hours(microseconds: int) -> Decimal:
    """Time in hours, in steps of 0.01, rounded up."""
    return Decimal(-(-microseconds // _STEP_US)) / 100


def micro_of(prices: Prices, hours: Decimal | None, tokens: int | None) -> int | None:
    """What that comes to, in millionths; None where something that has a price isn't known."""
    total = Decimal(0)
    for price, amount in (
        (prices.per_hour, hours),
        (prices.per_million_tokens, None if tokens is None else tokens / _MILLION),
    ):
        if price is None:
            continue
        if amount is None:
            return None
        total += price * amount
    return int((total * _MILLION).to_integral_value(ROUND_HALF_UP))
