"""How often one asker may ask: a bucket of permissions per name that fills up again with time.

This module only counts; the routes decide what a name is (a key's fingerprint, a network address) and what an asker is
told. It remembers a bounded number of names, the busiest ones: whoever is forgotten starts with a full bucket.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Bucket:
    left: float
    time: float


class RateLimit:
    """Lets each name do `burst` things at once, and one more every `seconds`."""

    def __init__(self, *, burst: int, seconds: float, clock: Callable[[], float], names_max: int = 20_000) -> None:
        self._burst = burst
        self._seconds = seconds
        self._clock = clock
        self._names_max = names_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str) -> int:
        """Take one permission; return 0, or the seconds after which there is one again."""
        now = self._clock()
        bucket = self._buckets.pop(name, None) or _Bucket(self._burst, now)
        left = min(self._burst, bucket.left + (now - bucket.time) / self._seconds)
        granted = left >= 1
        self._buckets[name] = _Bucket(left - 1 if granted else left, now)
        while len(self._buckets) > self._names_max:
            self._buckets.popitem(last=False)
        return 0 if granted else max(1, math.ceil((1 - left) * self._seconds))
