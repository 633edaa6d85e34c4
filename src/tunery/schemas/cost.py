"""Prices and what they come to. Money is integer millionths of the currency's unit; time is billed in 0.01 hours."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from tunery.schemas.base import Schema


class Prices(Schema):
    """What a run is billed by; frozen with it."""

    currency: str
    per_hour: Decimal | None = None
    """Of an hour of training, validation included."""
    per_million_tokens: Decimal | None = None
    """Of a million tokens trained on or validated on."""
    idle_time: bool = False
    """These are the prices of idle-time runs."""


class Cost(Schema):
    """What a run costs: estimated before, metered while it goes on, billed when it is over."""

    stage: Literal["estimate", "meter", "bill"]
    prices: Prices
    hours: Decimal | None = Field(None, decimal_places=2)
    """In steps of 0.01, rounded up; none = nothing was measured that would tell."""
    tokens: int | None = None
    micro: int | None = None
    """The sum in millionths of the currency's unit; none where hours are billed and not known."""
    basis: str | None = None
    """What an estimate of the time rests on, in words."""

    @property
    def amount(self) -> str | None:
        """The sum as people write it."""
        if self.micro is None:
            return None
        return f"{Decimal(self.micro) / 1_000_000:,.2f} {self.prices.currency}".strip()
