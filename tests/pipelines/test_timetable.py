"""When schedules start: time zones, both changes of the clock, first and last days, nonsense."""

from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunery.core.clock import MICROSECONDS, to_datetime
from tunery.core.errors import Problem
from tunery.schemas.run import TriggerSpec
from tunery.services.timetable import Timetable


def trigger(cron: str, zone: str = "UTC", **more: object) -> TriggerSpec:
    return TriggerSpec.model_validate({"type": "schedule", "cron": cron, "time_zone": zone, **more})


def us(moment: datetime) -> int:
    return round(moment.timestamp()) * MICROSECONDS


def told(zone: str, starts: list[int]) -> list[str]:
    return [to_datetime(start).astimezone(ZoneInfo(zone)).strftime("%a %d %b %H:%M %z") for start in starts]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 3 * * *", "30 1 * * *", "0 0 * * *"])
def test_once_a_day_across_both_changes_of_the_clock(zone: str, cron: str) -> None:
    begin = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)) - timedelta(minutes=1)
    starts = Timetable(trigger(cron, zone)).after(us(begin), 365)
    days = Counter(to_datetime(start).astimezone(ZoneInfo(zone)).date() for start in starts)
    assert len(days) == 365
    assert set(days.values()) == {1}


def test_a_time_that_the_clock_jumps_over_comes_after_the_jump() -> None:
    begin = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    found = Timetable(trigger("30 2 * * *", "Europe/Berlin")).after(us(begin), 2)
    assert told("Europe/Berlin", found) == ["Sun 29 Mar 03:00 +0200", "Mon 30 Mar 02:30 +0200"]


def test_monday_is_one_and_sunday_is_both_ends() -> None:
    begin = us(datetime(2026, 11, 21, tzinfo=ZoneInfo("UTC")))
    assert told("UTC", Timetable(trigger("0 0 * * 1")).after(begin, 1)) == ["Mon 23 Nov 00:00 +0000"]
    assert Timetable(trigger("0 0 * * 0")).after(begin, 3) == Timetable(trigger("0 0 * * 7")).after(begin, 3)


def test_leap_days() -> None:
    begin = us(datetime(2026, 11, 21, tzinfo=ZoneInfo("UTC")))
    found = Timetable(trigger("0 0 29 2 *")).after(begin, 2)
    assert [to_datetime(start).year for start in found] == [2028, 2032]


def test_first_and_last_day_are_whole_days_of_the_zone() -> None:
    zone = "Asia/Tokyo"
    begin = us(datetime(2026, 11, 21, tzinfo=ZoneInfo(zone)))
    bounded = trigger("0 */12 * * *", zone, first_day=date(2026, 12, 1), last_day=date(2026, 12, 2))
    assert told(zone, Timetable(bounded).after(begin)) == [
        "Tue 01 Dec 00:00 +0900", "Tue 01 Dec 12:00 +0900", "Wed 02 Dec 00:00 +0900", "Wed 02 Dec 12:00 +0900",
    ]  # fmt: skip


@given(
    st.integers(0, 2**31),
    st.sampled_from(["*/7 * * * *", "15 4 * * sun", "0 9-17 * * mon-fri", "59 23 31 * *"]),
)
def test_starts_rise_and_follow_the_moment(second: int, cron: str) -> None:
    after = second * MICROSECONDS
    found = Timetable(trigger(cron, "Europe/Berlin")).after(after)
    assert found[0] > after
    assert found == sorted(set(found))
    assert Timetable(trigger(cron, "Europe/Berlin")).after(found[0], 1) == found[1:2]


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("", "UTC", "cron"),
        ("* * * *", "UTC", "cron"),
        ("0 0 * * * *", "UTC", "cron"),
        ("61 * * * *", "UTC", "cron"),
        ("0 0 31 2 *", "UTC", "cron"),
        ("0 0 * * *", "Mars/Olympus", "time_zone"),
        ("0 0 * * *", "../../etc/passwd", "time_zone"),
    ],
)
def test_nonsense_is_refused_with_its_field(cron: str, zone: str, field: str) -> None:
    wrong = TriggerSpec.model_construct(**{**trigger("0 0 * * *", zone).__dict__, "cron": cron})
    with pytest.raises(Problem) as caught:
        Timetable(wrong)
    assert (caught.value.code, caught.value.where.field) == ("schedule_invalid", f"trigger.{field}")
