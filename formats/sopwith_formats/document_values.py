"""The kinds of values that our documents share: durations, percentages, sizes, names, counts.

Decides how each is written and what the checked value looks like: a duration becomes whole seconds, a size whole
bytes, a percentage its shortest text with the sign ("95%", "2.5%"), since canonical JSON knows no fractions. Limits of
a single document are left to its own module.

Each kind takes the text that a person writes; a bare number without its unit is refused, because nobody can know
whether `soak: 30` means seconds or minutes.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

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


@dataclass(frozen=True)
class OneOf:
    """The check that a value is one of the words of a closed vocabulary; the published schema lists them."""

    allowed: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the check for pydantic."""
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the words for the published schema."""
        return {"type": "string", "enum": list(map(str, self.allowed))}

    def _check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.allowed:
            raise FormatError(
                f"is {value!r}, which is not known here", remedy=f"write one of {', '.join(self.allowed)}"
            )
        return value


def one_of(allowed: tuple[str, ...]) -> OneOf:
    """Return the check that a value is one of these words."""
    return OneOf(allowed)


@dataclass(frozen=True, eq=False)
class AlsoWritten:
    """Says in the published schema that a value may also be written in another form, given as a schema."""

    form: dict[str, Any]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the other form beside what the value is otherwise."""
        return {"anyOf": [self.form, handler(schema)]}


_PERCENT = r"^\s*\d+(\.\d+)?\s*%\s*$"


def _written(pattern: str, example: str) -> WithJsonSchema:
    """Say in the published schema how a value is written, which is not how it is kept."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[int, BeforeValidator(duration_seconds), _written(r"^\s*\d+(\.\d+)?\s*[a-zA-Z]+\s*$", "30m")]
Percent = Annotated[str, BeforeValidator(percent_text), _written(_PERCENT, "95%")]
Size = Annotated[int, BeforeValidator(size_bytes), _written(r"^\s*\d+(\.\d+)?\s*[a-zA-Z]+\s*$", "50MiB")]
Rate = Annotated[int, BeforeValidator(rate_bytes), _written(r"^\s*\d+(\.\d+)?\s*[a-zA-Z]+(/s)?\s*$", "200Mbit/s")]
CountOrPercent = Annotated[
    int | str,
    BeforeValidator(count_or_percent),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": COUNT_MAX}, {"type": "string", "pattern": _PERCENT}]}
    ),
]
PercentNumber = Annotated[
    str,
    BeforeValidator(percent_number),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 100}, {"type": "string", "pattern": r"^[\d.]+\s*%?$"}]}
    ),
]
ClockTime = Annotated[str, BeforeValidator(clock_time), _written(r"^([01]\d|2[0-3]):[0-5]\d$", "22:00")]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
PositiveCount = Annotated[int, Field(ge=1, le=COUNT_MAX)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
