"""How many engines there is room for: what living workers say they run at once. Counted by the lease's clock."""

from sqlalchemy import Connection, func, select

from tunery.core.clock import MICROSECONDS
from tunery.db.lease import lease_time
from tunery.db.tables import worker


def engine_slots(connection: Connection, lease_seconds: float) -> int:
    """How many engines the living workers run at once."""
    clock = lease_time(connection)
    alive = worker.c.seen >= clock.us - int(lease_seconds * MICROSECONDS)
    found = select(func.sum(worker.c.slots)).where(alive, worker.c.seen_boot == clock.boot)
    return connection.scalar(found) or 0
