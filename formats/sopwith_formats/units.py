"""Durations, sizes, percentages and times as people write them in SOPs, manifests and on the command line.

>>> parse_duration("4h"), parse_size("50MiB"), str(parse_percent("2.5%"))
(datetime.timedelta(seconds=14400), 52428800, '2.5')
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from sopwith_formats.errors import FormatError

if TYPE_CHECKING:
    from decimal import Decimal

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_RATES = {"kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, **{unit: 8 * size for unit, size in _BYTES.items()}}
"""Bits."""
_PERCENT_MAX = 100
_TIMES_KEPT_MAX = 4096
"""The same few hundred times are said of thousands of computers, tick after tick."""


def parse_duration(text: str) -> timedelta:
    """Return the duration of "90s", "30m", "4h", "14d", "6y" or a row of them ("1h30m"); "0s" is allowed."""
    if not re.fullmatch(r"(\d{1,9}[smhdwy])+", text):
        raise FormatError(f"{text!r} is no duration", remedy="write a number and s, m, h, d, w or y, for example 30m")
    return timedelta(seconds=sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"(\d+)([smhdwy])", text)))


def format_duration(duration: timedelta) -> str:
    """Return the shortest exact writing, for example 4h or 1h30m."""
    rest = int(duration.total_seconds())
    if rest <= 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_size(text: str) -> int:
    """Return the bytes of "50MiB", "1GiB", "512B"."""
    match = re.fullmatch(r"(\d{1,12})\s?(B|KiB|MiB|GiB|TiB|kB|MB|GB)", text)
    if not match:
        raise FormatError(f"{text!r} is no size", remedy="write a number and a unit, for example 50MiB")
    return int(match[1]) * _BYTES[match[2]]


def format_size(size: int) -> str:
    """Return a size for people, for example 50.0 MiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 2**10 or unit == "GiB":
            return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 2**10
    raise AssertionError  # the last unit returns


def parse_rate(text: str) -> int:
    """Return the bytes a second of "200Mbit/s" or "25MB/s"; network rates are decimal."""
    match = re.fullmatch(r"(\d{1,9})\s?([kMG]bit|[kMG]B|[KMG]iB|B)/s", text)
    rate = int(match[1]) * _RATES[match[2]] // 8 if match else 0
    if not rate:
        raise FormatError(f"{text!r} is no rate", remedy="write a number and a unit, for example 200Mbit/s or 25MB/s")
    return rate


def format_rate(bytes_per_second: int) -> str:
    """Return a rate for people in bits, for example 200 Mbit/s."""
    bits = bytes_per_second * 8
    for unit, size in (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if bits >= size:
            return f"{round(bits / size, 1):g} {unit}"
    return f"{bits} bit/s"


def parse_percent(text: str) -> "Decimal":
    """Return the number of "95%" or "2.5%", 0 to 100."""
    from decimal import Decimal  # an agent reads no percentages, and need not carry the module

    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,4})?)\s?%", text)
    if not match or Decimal(match[1]) > _PERCENT_MAX:
        raise FormatError(f"{text!r} is no percentage", remedy="write a number from 0 to 100 and %, for example 95%")
    return Decimal(match[1])


@lru_cache(maxsize=_TIMES_KEPT_MAX)
def format_time(time: datetime) -> str:
    """Return RFC 3339 in UTC with as many digits as it has, for example 2026-11-22T02:14:35.120Z."""
    text = time.astimezone(UTC).isoformat(timespec="milliseconds" if time.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the time of an RFC 3339 text with offset; refuse a text without one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise FormatError(f"{text!r} is no time", remedy="write it like 2026-11-22T02:14:35Z") from error
    if time.tzinfo is None:
        raise FormatError(f"{text!r} has no offset", remedy="append Z for UTC")
    return time.astimezone(UTC)
