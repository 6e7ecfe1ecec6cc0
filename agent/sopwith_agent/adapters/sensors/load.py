"""Tells how busy the processors are."""

import psutil


def load_percent() -> int:
    """Return the load of the last minute per processor; 100 is one runnable process for each."""
    minute, _, _ = psutil.getloadavg()
    return round(minute * 100 / (psutil.cpu_count() or 1))
