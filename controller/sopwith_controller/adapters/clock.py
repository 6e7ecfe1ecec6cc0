"""The system's clocks behind their ports: the only place of the controller that asks for the time of day."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Tells UTC."""

    def now(self) -> datetime:
        """Return the present time, UTC."""
        return datetime.now(UTC)


class SteadySystemClock:
    """Counts seconds since the machine started, sleep included where the system counts it."""

    def seconds(self) -> float:
        """Return the seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
