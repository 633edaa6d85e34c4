"""Ids: a prefix that names the noun, then 26 characters that sort by time of making."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """Make an opaque id such as `run_01kq3…`: 48 bits of milliseconds, 80 random bits, in Crockford base 32."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    digits: list[str] = []
    for _ in range(26):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(digits))}"
