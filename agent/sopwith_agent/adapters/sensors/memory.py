"""Tells how much memory a program can get without others being pushed out."""

import psutil


def memory_available() -> int:
    """Return the bytes available now."""
    return int(psutil.virtual_memory().available)
