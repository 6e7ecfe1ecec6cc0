"""How fast this computer may download at a time of its own day.

Decides the rate and the pauses that keep it; what is downloaded, and when, is the steps'. Rules: of several rules that
are in force the slowest counts; where none is, nothing is held back; a rule whose end is not after its begin runs
through midnight and belongs to the day on which it began; a pause never pays for time in which nothing was moved.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RATE_MIN_BYTES_PER_SECOND = 4096
"""Slower than this, a download would look like one that a hostile source drips."""
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class RateRule:
    """A rate for some hours of some days, by the computer's local time."""

    bytes_per_second: int
    begin_minute: int = 0
    end_minute: int = _DAY_MINUTES
    """Minutes after midnight, 0 to 1440."""
    days: tuple[str, ...] = DAYS

    def covers(self, local: datetime) -> bool:
        """Tell whether the rule is in force."""
        minute, today = local.hour * 60 + local.minute, DAYS[local.weekday()]
        if self.begin_minute < self.end_minute:
            return today in self.days and self.begin_minute <= minute < self.end_minute
        yesterday = DAYS[local.weekday() - 1]
        return (today in self.days and minute >= self.begin_minute) or (
            yesterday in self.days and minute < self.end_minute
        )


def rate_at(rules: Iterable[RateRule], local: datetime) -> int | None:
    """Return the bytes per second that are allowed now, None where nothing is held back."""
    return min((rule.bytes_per_second for rule in rules if rule.covers(local)), default=None)


@dataclass
class Pace:
    """Keeps a rate over one download; seconds are those of a monotonic clock."""

    free_at: float = 0.0
    """When what was moved so far is paid for."""

    def pause_seconds(self, moved_bytes: int, rate: int | None, now: float) -> float:
        """Return how long to wait after moving so many bytes."""
        if rate is None:
            self.free_at = now
            return 0.0
        self.free_at = max(self.free_at, now) + moved_bytes / rate
        return self.free_at - now
