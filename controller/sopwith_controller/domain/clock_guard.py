"""Whether the clock can be trusted: the time of day compared with a clock that nobody can set.

Decides whether the time of day jumped between two looks, and by how much; what is held meanwhile, and who is told, is
`services.clock_guard`'. Rules:

- Between two looks both clocks move alike. A difference beyond the tolerance is a jump; a smaller one is the slow
  steering of a time service and becomes the new beginning.
- While a jump is unanswered the last trusted reading stays: when the time of day agrees with it again, the clock has
  returned by itself.
- After a start there is no earlier reading. Time that went backwards is known by the newest time on record; a jump
  forwards cannot be told from a long downtime, and is believed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

TOLERANCE = timedelta(minutes=5)
"""As much as the SOP lets a computer's clock be wrong."""


@dataclass(frozen=True)
class Reading:
    """Both clocks at one moment."""

    wall: datetime
    """The time of day, UTC."""
    steady_seconds: float
    """Seconds of a clock that only moves on."""

    def expected(self, later: "Reading") -> datetime:
        """Return what the time of day should be at a later reading."""
        return self.wall + timedelta(seconds=later.steady_seconds - self.steady_seconds)


def jump_between(trusted: Reading, now: Reading) -> timedelta | None:
    """Return by how much the time of day jumped, forwards or (negative) backwards; None: it did not."""
    jump = now.wall - trusted.expected(now)
    return jump if abs(jump) > TOLERANCE else None


def jump_since_record(newest: datetime, now: datetime) -> timedelta | None:
    """Return by how much the time of day lies before the newest time on record; None: it does not."""
    return now - newest if newest - now > TOLERANCE else None


def in_words(jump: timedelta) -> str:
    """Return a jump as people say it, for example "forwards by about 2 days"."""
    way = "forwards" if jump > timedelta(0) else "backwards"
    seconds = int(abs(jump).total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600)):
        if seconds >= length:
            number = seconds // length
            return f"{way} by about {number} {unit}{'' if number == 1 else 's'}"
    return f"{way} by about {seconds // 60} minutes"
