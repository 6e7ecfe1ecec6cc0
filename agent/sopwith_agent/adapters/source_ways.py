"""The ways from this computer to its source, as its own settings name them: proxy, mirrors, rate.

Decides nothing about trust: a mirror serves the same signed files, and what it serves is verified like anything else.
Metadata always comes from the designated source itself, so that a mirror that stands still cannot hold back news.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sopwith_agent.adapters.proxies import ProxyChoice
from sopwith_agent.domain.bandwidth import Pace, RateRule, rate_at
from sopwith_formats.units import format_rate

_LOOK_SECONDS = 0.25
"""How often a pause asks whether the download was called off."""


def _local_now() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True)
class Ways:
    """How the source is reached."""

    proxies: ProxyChoice = field(default_factory=ProxyChoice)
    mirrors: tuple[str, ...] = ()
    """Where the source's files are served too, nearest first."""
    rates: tuple[RateRule, ...] = ()
    local_now: Callable[[], datetime] = _local_now

    def rate(self) -> int | None:
        """Return the bytes per second that are allowed now, None where nothing is held back."""
        return rate_at(self.rates, self.local_now())


class Brake:
    """Holds one download to the rate of the moment."""

    def __init__(
        self,
        rate: Callable[[], int | None],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._pace = Pace()

    def piece_bytes(self, most: int) -> int:
        """Return how much to read at once, so that a slow rate flows evenly."""
        rate = self._rate()
        return most if rate is None else max(1024, min(most, rate // 4))

    def moved(self, moved_bytes: int, cancelled: Callable[[], bool]) -> None:
        """Wait until so many bytes are paid for, or until the download is called off."""
        until = self._monotonic() + self._pace.pause_seconds(moved_bytes, self._rate(), self._monotonic())
        while (left := until - self._monotonic()) > 0 and not cancelled():
            self._sleep(min(left, _LOOK_SECONDS))

    def __str__(self) -> str:
        rate = self._rate()
        return "as fast as it comes" if rate is None else f"at most {format_rate(rate)}"
