"""When a timer trigger is due: `@every 5m`, or six fields with the seconds first, in UTC or the zone of `CRON_TZ=`.

Fields, ranges and signs are those of help.aliyun.com/document_detail/171746: seconds 0-59, minutes 0-59, hours 0-23,
day of month 1-31, month 1-12 or JAN-DEC, day of week 1-7 or MON-SUN (Monday is 1); `* , - /`, and `?` for the days.
Assumed: when both day fields are limited, either may match (as every cron does); what falls into the hour that daylight
saving leaves out does not run.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Next = Callable[[float], float]
"""Epoch seconds -> the first due time after them; infinity when there is none within five years."""

_UNITS = {"h": 3600, "m": 60, "s": 1}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6, "SUN": 7}
_RANGES: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (1, 7, _DAYS),
)
_HORIZON = timedelta(days=5 * 366)


def parse(expression: str) -> Next:
    """The schedule of a cron expression.

    Raises
    ------
    ValueError
        With what is wrong with it.
    """
    every = re.fullmatch(r"@every ((?:\d+[hms])+)", expression)
    if every is not None:
        period = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([hms])", every.group(1)))
        if not period:
            raise ValueError("@every 0 is never")
        return lambda after: after + period
    words = expression.split()
    zone: tzinfo = UTC
    if words and words[0].startswith("CRON_TZ="):
        try:
            zone = ZoneInfo(words.pop(0).removeprefix("CRON_TZ="))
        except (OSError, ValueError, ZoneInfoNotFoundError) as error:
            raise ValueError("CRON_TZ names no time zone") from error
    if len(words) != len(_RANGES):
        raise ValueError("it is `@every 5m` or six fields, seconds first")
    fields = [_field(word, *limits) for word, limits in zip(words, _RANGES, strict=True)]
    either_day = words[3] not in "*?" and words[5] not in "*?"
    return lambda after: _search(fields, either_day, zone, after)


def _field(text: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    def number(word: str) -> int:
        value = names.get(word.upper()) or (int(word) if word.isascii() and word.isdigit() else -1)
        if not low <= value <= high:
            raise ValueError(f"{word!r} is not within {low} to {high}")
        return value

    chosen: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isascii() and step.isdigit() and int(step)):
            raise ValueError(f"{part!r} has no step")
        if span in ("*", "?"):
            if span == "?" and high not in (31, 7):
                raise ValueError("`?` stands for a day only")
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = number(begin)
            last = number(end) if dash else (high if slash else first)
        if first > last:
            raise ValueError(f"{part!r} runs backwards")
        chosen.update(range(first, last + 1, int(step) if slash else 1))
    return chosen


def _search(fields: list[set[int]], either_day: bool, zone: tzinfo, after: float) -> float:
    seconds, minutes, hours, days, months, weekdays = fields
    start = at = datetime.fromtimestamp(int(after) + 1, zone).replace(tzinfo=None)
    while at - start < _HORIZON:
        in_month, on_weekday = at.day in days, at.isoweekday() in weekdays
        if at.month not in months:
            at = (at.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0)
        elif not (in_month or on_weekday if either_day else in_month and on_weekday):
            at = at.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        elif at.hour not in hours:
            at = at.replace(minute=0, second=0) + timedelta(hours=1)
        elif at.minute not in minutes:
            at = at.replace(second=0) + timedelta(minutes=1)
        elif at.second not in seconds:
            at += timedelta(seconds=1)
        else:
            due = at.replace(tzinfo=zone).timestamp()
            if due > after and datetime.fromtimestamp(due, zone).replace(tzinfo=None) == at:
                return due
            at += timedelta(seconds=1)
    return float("inf")
