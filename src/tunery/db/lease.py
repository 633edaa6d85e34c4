"""The clock leases are counted by: one that a change of the wall clock can't move.

SQLite: the time since this machine booted, with the boot's id, so that a reading from before a reboot is
never compared with one after it. PostgreSQL: the database server's clock.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from tunery.core.clock import boot_id, boot_us


@dataclass(frozen=True)
class LeaseTime:
    """A reading. Two are comparable only when their boots are equal."""

    us: int
    boot: str


def lease_time(connection: Connection) -> LeaseTime:
    """Read the lease clock."""
    if connection.dialect.name == "postgresql":
        us = connection.scalar(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))
        return LeaseTime(int(us), "postgresql")  # pyright: ignore[reportArgumentType]
    return LeaseTime(boot_us(), boot_id())
