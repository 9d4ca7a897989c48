"""When a scheduled action is due: at(), rate() and cron() expressions in a time zone. Pure.

PutScheduledAction (API reference); "Schedule recurring scaling actions using cron expressions" (user guide).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
_LONGEST_DAYS = 366 * 8 + 1  # a 29th of February is at most eight years away


class ScheduleError(ValueError):
    """No schedule that Application Auto Scaling takes, or one that isn't here; the text says which."""


@dataclass(frozen=True)
class Schedule:
    """One expression. Times are epoch seconds."""

    expression: str
    zone: ZoneInfo

    @classmethod
    def of(cls, expression: str, zone: str) -> Schedule:
        """Raises ScheduleError."""
        try:
            made = cls(expression, ZoneInfo(zone))
        except (KeyError, ValueError, OSError) as error:
            raise ScheduleError(f"The time zone {zone} isn't valid") from error
        made.next_after(0.0, started=0.0)
        return made

    def next_after(self, after: float, *, started: float) -> float | None:
        """The first time behind `after`; a rate counts from `started`. None where there is none. ScheduleError."""
        if rate := _RATE.fullmatch(self.expression):
            return _next_of_rate(int(rate[1]) * _UNITS[rate[2]], after, started)
        try:
            if at := _AT.fullmatch(self.expression):
                moment = datetime.fromisoformat(at[1]).replace(tzinfo=self.zone).timestamp()
                return moment if moment > after else None
            if cron := _CRON.fullmatch(self.expression):
                return _next_of_cron(_Cron.of(cron.groups()), self.zone, after)
        except ValueError as error:
            raise ScheduleError(f"The schedule {self.expression} isn't valid: {error}") from error
        raise ScheduleError(
            f"The schedule {self.expression} isn't valid; there are at(yyyy-mm-ddThh:mm:ss), rate(value unit) and "
            "cron(minutes hours day-of-month month day-of-week year)"
        )


def _next_of_rate(seconds: int, after: float, started: float) -> float:
    if seconds <= 0:
        raise ScheduleError("A rate must be greater than 0")
    return started + seconds * (max(0, int((after - started) // seconds)) + 1)


@dataclass(frozen=True)
class _Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]

    @classmethod
    def of(cls, fields: Sequence[str]) -> _Cron:
        minutes, hours, days, months, weekdays, years = fields
        if (days == "?") == (weekdays == "?"):
            raise ValueError("exactly one of day-of-month and day-of-week must be ?")
        made = cls(
            _numbers(minutes, 0, 59),
            _numbers(hours, 0, 23),
            days,
            _numbers(months, 1, 12, _MONTHS),
            weekdays,
            _numbers(years, 1970, 2199),
        )
        made.has(datetime(2000, 1, 1, tzinfo=UTC))
        return made

    def has(self, day: datetime) -> bool:
        """Whether the day is one of the expression's."""
        last = calendar.monthrange(day.year, day.month)[1]
        if self.weekdays == "?":
            days = {last} if self.days == "L" else _numbers(self.days, 1, 31)
            is_day = day.day in days
        else:
            is_day = _is_weekday(self.weekdays, day, last)
        return is_day and day.month in self.months and day.year in self.years


def _is_weekday(field: str, day: datetime, last: int) -> bool:
    """A day of the week, its last in the month (`6L`), or its n-th (`6#3`)."""
    weekday = day.isoweekday() % 7 + 1
    if field.endswith("L") and len(field) > 1:
        return weekday in _numbers(field[:-1], 1, 7, _DAYS) and day.day + 7 > last
    if "#" in field:
        name, _, number = field.partition("#")
        return weekday in _numbers(name, 1, 7, _DAYS) and (day.day + 6) // 7 in _numbers(number, 1, 5)
    return weekday in _numbers("7" if field == "L" else field, 1, 7, _DAYS)


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if first == "*" else _number(first, low, high, names or {})
        end = _number(last, low, high, names or {}) if dash else (high if first == "*" or step else start)
        found.update(range(start, end + 1, _number(step, 1, high, {}) if step else 1))
    return frozenset(found)


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text.upper()) or (int(text) if text.isdigit() else None)
    if number is None or not low <= number <= high:
        raise ValueError(f"{text!r} isn't one of {low} to {high}")
    return number


def _next_of_cron(cron: _Cron, zone: ZoneInfo, after: float) -> float | None:
    begin = datetime.fromtimestamp(after, zone)
    for moment in _moments(cron, begin.replace(hour=0, minute=0, second=0, microsecond=0)):
        if moment.timestamp() > after:
            return moment.timestamp()
    return None


def _moments(cron: _Cron, first: datetime) -> Iterator[datetime]:
    for number in range(_LONGEST_DAYS):
        day = first + timedelta(days=number)
        if cron.has(day):
            for hour in sorted(cron.hours):
                for minute in sorted(cron.minutes):
                    yield day.replace(hour=hour, minute=minute)
