"""What happened in a run, as one digest of everything and the words of the end.

Decides nothing. Two runs of one seed have the same digest; a run that broke a promise shows its last events.
"""

import hashlib
from collections import deque
from collections.abc import Callable

LAST = 60


class Trace:
    """Every event of one run, in order."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._digest = hashlib.sha256()
        self._last: deque[tuple[float, str]] = deque(maxlen=LAST)
        self.events = 0

    def note(self, text: str) -> None:
        """Write an event down."""
        now = self._now()
        self.events += 1
        self._digest.update(b"%.6f %s\n" % (now, text.encode()))
        self._last.append((now, text))

    def digest(self) -> str:
        """Return the digest of everything so far."""
        return self._digest.hexdigest()

    def last(self) -> list[str]:
        """Return the last events, with their times from the beginning of the run."""
        return [f"{now:12.3f} s  {text}" for now, text in self._last]
