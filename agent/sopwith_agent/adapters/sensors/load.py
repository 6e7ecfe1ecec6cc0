"""Tells how busy the processors are."""

import os


def load_percent() -> int:
    """Return the load of the last minute per processor; 100 is one runnable process for each."""
    minute, _, _ = os.getloadavg()
    return round(minute * 100 / (os.cpu_count() or 1))
