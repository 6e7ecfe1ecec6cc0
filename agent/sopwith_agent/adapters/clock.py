"""The computer's clocks, and the controller's as well as it is known.

Decides how the controller's time is carried on between contacts: by the monotonic clock from the last Welcome, so that
a wall clock that is wrong, or jumps, neither shortens nor lengthens a lease. Before the first contact of this process
the computer's own clock has to do. A root that brings a /proc of its own, as a container's or a virtual computer's
does, tells its own boot.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_BOOT_ID = "proc/sys/kernel/random/boot_id"
_UPTIME = "proc/uptime"


class SystemClock:
    """Asks the system; safe to use from several threads."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Tell the boot of the computer whose root this is; without a /proc in it, of the one that it runs on."""
        own = root != Path("/") and (root / _BOOT_ID).is_file()
        self._boot_id = (root if own else Path("/")) / _BOOT_ID
        self._uptime = root / _UPTIME if own and (root / _UPTIME).is_file() else None
        self._lock = threading.Lock()
        self._fleet: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return wall-clock time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back, for time limits."""
        return time.monotonic()

    def boot_seconds(self) -> int:
        """Return whole seconds since the computer booted, the time asleep included."""
        if self._uptime is not None:
            return int(float(self._uptime.read_text(encoding="ascii").split()[0]))
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))

    def boot_id(self) -> str:
        """Return the kernel's boot id."""
        return self._boot_id.read_text(encoding="ascii").strip()

    def utc_offset_seconds(self) -> int:
        """Return the computer's own offset from UTC now."""
        return time.localtime().tm_gmtoff

    def fleet_now(self) -> datetime:
        """Return the controller's time as well as it is known; before contact our own."""
        with self._lock:
            fleet = self._fleet
        if fleet is None:
            return self.now()
        told, at = fleet
        return told + timedelta(seconds=self._awake_or_asleep() - at)

    def controller_ahead_seconds(self) -> int | None:
        """Return the controller's clock minus ours; None before the first contact."""
        with self._lock:
            known = self._fleet is not None
        return round((self.fleet_now() - self.now()).total_seconds()) if known else None

    def set_fleet_time(self, controller_time: datetime) -> None:
        """Take the controller's time from a Welcome."""
        with self._lock:
            self._fleet = (controller_time, self._awake_or_asleep())

    def _awake_or_asleep(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
