"""Metric points in columnar chunks, never a row per point.

A chunk holds up to a thousand points of one curve and attempt: step, time, event number, value.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from tunery.db.tables import metric_chunk
from tunery.schemas.run import MetricSeries

_POINT = "qqqd"
_CHUNK_POINTS = 1000


@dataclass(frozen=True)
class Point:
    """One value of one curve."""

    name: str
    step: int
    time: int
    seq: int
    value: float


def append_points(
    connection: Connection, project: str, run: str, attempt: int, points: Iterable[Point]
) -> None:
    """Add points, in order of step, to the newest chunk of each curve."""
    by_name: dict[str, list[Point]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    for name, added in by_name.items():
        _append_to_curve(connection, project, run, attempt, name, added)


def _append_to_curve(
    connection: Connection, project: str, run: str, attempt: int, name: str, points: list[Point]
) -> None:
    key = (metric_chunk.c.run_id == run) & (metric_chunk.c.name == name) & (metric_chunk.c.attempt == attempt)
    newest = connection.execute(
        select(metric_chunk).where(key).order_by(metric_chunk.c.first_step.desc()).limit(1)
    ).one_or_none()
    room = 0 if newest is None else _CHUNK_POINTS - newest.length
    if newest is not None and room > 0:
        fitting, points = points[:room], points[room:]
        connection.execute(
            update(metric_chunk)
            .where(key, metric_chunk.c.first_step == newest.first_step)
            .values(
                last_step=fitting[-1].step,
                last_seq=fitting[-1].seq,
                length=newest.length + len(fitting),
                points=newest.points + _pack(fitting),
            )
        )
    for start in range(0, len(points), _CHUNK_POINTS):
        chunk = points[start : start + _CHUNK_POINTS]
        connection.execute(
            metric_chunk.insert().values(
                run_id=run,
                name=name,
                attempt=attempt,
                first_step=chunk[0].step,
                project_id=project,
                last_step=chunk[-1].step,
                last_seq=chunk[-1].seq,
                length=len(chunk),
                points=_pack(chunk),
            )
        )


def read_series(
    connection: Connection,
    run: str,
    names: Sequence[str],
    first_step: int,
    last_step: int | None,
    limit: int,
) -> list[MetricSeries]:
    """Curves in a range of steps, each thinned to at most about `limit` points; no names = every curve."""
    chosen = metric_chunk.c.name.in_(names) if names else metric_chunk.c.name.is_not(None)
    query = select(metric_chunk).where(
        metric_chunk.c.run_id == run, chosen, metric_chunk.c.last_step >= first_step
    )
    if last_step is not None:
        query = query.where(metric_chunk.c.first_step <= last_step)
    curves: dict[str, dict[int, tuple[int, float]]] = {}
    # A later attempt went over the same steps again: its values stand.
    for chunk in connection.execute(query.order_by(metric_chunk.c.attempt, metric_chunk.c.first_step)):
        steps, times, _, values = _columns(chunk.points)
        first = bisect_left(steps, first_step)
        end = len(steps) if last_step is None else bisect_right(steps, last_step)
        found = zip(times[first:end], values[first:end], strict=True)
        curves.setdefault(chunk.name, {}).update(zip(steps[first:end], found, strict=True))
    return [_series(name, curves[name], limit) for name in sorted(curves)]


def points_after(connection: Connection, run: str, seq: int) -> Iterator[tuple[int, Point]]:
    """(attempt, point) of every point that came after event number `seq`."""
    chunks = connection.execute(
        select(metric_chunk).where(metric_chunk.c.run_id == run, metric_chunk.c.last_seq > seq)
    )
    for chunk in chunks:
        for step, time, number, value in zip(*_columns(chunk.points), strict=True):
            if number > seq:
                yield chunk.attempt, Point(chunk.name, step, time, number, value)


def thin(steps: Sequence[int], values: Sequence[float], limit: int) -> list[int]:
    """Indices that keep the shape of a curve: the lowest and highest point of each of limit / 2 buckets."""
    if len(steps) <= limit:
        return list(range(len(steps)))
    buckets = max(1, limit // 2)
    kept: set[int] = {0, len(steps) - 1}
    for bucket in range(buckets):
        start, end = bucket * len(steps) // buckets, (bucket + 1) * len(steps) // buckets
        inside = range(start, end)
        kept.add(min(inside, key=values.__getitem__))
        kept.add(max(inside, key=values.__getitem__))
    return sorted(kept)


def _series(name: str, curve: dict[int, tuple[int, float]], limit: int) -> MetricSeries:
    steps = sorted(curve)
    values = [curve[step][1] for step in steps]
    kept = thin(steps, values, limit)
    return MetricSeries(
        name=name,
        steps=[steps[i] for i in kept],
        values=[values[i] for i in kept],
        times=[curve[steps[i]][0] for i in kept],
    )


def _pack(points: Iterable[Point]) -> bytes:
    flat = [number for p in points for number in (p.step, p.time, p.seq, p.value)]
    return struct.pack("<" + _POINT * (len(flat) // 4), *flat)


def _columns(points: bytes) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """Steps, times, event numbers, values; all at once, since a chunk's points one by one take ten times as long."""
    flat = struct.unpack("<" + _POINT * (len(points) // struct.calcsize("<" + _POINT)), points)
    return flat[0::4], flat[1::4], flat[2::4], flat[3::4]
