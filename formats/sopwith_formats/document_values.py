"""The kinds of values that our documents share: durations, percentages, sizes, names, counts.

Decides how each is written and what the checked value looks like: a duration becomes whole seconds, a size whole
bytes, a percentage its shortest text with the sign ("95%", "2.5%"), since canonical JSON knows no fractions. Limits of
a single document are left to its own module.

Each kind takes the text that a person writes; a bare number without its unit is refused, because nobody can know
whether `soak: 30` means seconds or minutes.
"""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sopwith_formats.errors import FormatError
from sopwith_formats.units import parse_duration, parse_percent, parse_rate, parse_size

DURATION_MAX = timedelta(days=100 * 365)
COUNT_MAX = 1_000_000


def _text(value: Any, example: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str):
        shown = "empty" if value is None else repr(value) if isinstance(value, (int, bool)) else "not one value"
        raise FormatError(f"is {shown}, which has no unit", remedy=f"write it like {example}")
    return value.strip()


def duration_seconds(value: Any) -> int:
    """Return the whole seconds of a written duration."""
    duration = parse_duration(_text(value, "30m, 4h or 14d"))
    if duration > DURATION_MAX:
        raise FormatError(f"is {value!r}, longer than 100 years", remedy="write a shorter duration")
    return int(duration.total_seconds())


def percent_text(value: Any) -> str:
    """Return a written percentage in its shortest writing."""
    number = parse_percent(_text(value, "95%"))
    return f"{number.normalize():f}%"


def size_bytes(value: Any) -> int:
    """Return the bytes of a written size."""
    return parse_size(_text(value, "50MiB"))


def rate_bytes(value: Any) -> int:
    """Return the bytes a second of a written rate."""
    return parse_rate(_text(value, "200Mbit/s"))


def count_or_percent(value: Any) -> int | str:
    """Return a count as it is, or a percentage in its shortest writing."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= COUNT_MAX:
            raise FormatError(f"is {value}", remedy=f"write a count from 1 to {COUNT_MAX}, or a percentage")
        return value
    if not isinstance(value, str):
        raise FormatError("is neither a count nor a percentage", remedy="write 5 or 10%")
    return percent_text(value)


def percent_number(value: Any) -> str:
    """Return a number of percent, written without the sign, in the shortest writing with it: 2%, 2.5%."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise FormatError("is no number", remedy="write a number of percent from 0 to 100, for example 2")
    return percent_text(str(value).strip().removesuffix("%") + "%")


def clock_time(value: Any) -> str:
    """Return a time of day as it is written, from 00:00 to 23:59."""
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise FormatError(f"{value!r} is no time of day", remedy='write it like "22:00", in quotes')
    return value


Duration = Annotated[int, BeforeValidator(duration_seconds)]
Percent = Annotated[str, BeforeValidator(percent_text)]
Size = Annotated[int, BeforeValidator(size_bytes)]
Rate = Annotated[int, BeforeValidator(rate_bytes)]
CountOrPercent = Annotated[int | str, BeforeValidator(count_or_percent)]
PercentNumber = Annotated[str, BeforeValidator(percent_number)]
ClockTime = Annotated[str, BeforeValidator(clock_time)]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
PositiveCount = Annotated[int, Field(ge=1, le=COUNT_MAX)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
