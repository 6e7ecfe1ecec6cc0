"""What the gRPC library writes past Python to the stderr, taken up as log lines: above all refused handshakes.

A caller without a certificate of the fleet never reaches our code, so the library's line is the only trace of it. This
module decides which lines those are and what they become; everything else on stderr goes through untouched.

Rules: the library names a reason but no address; a storm of refused handshakes is counted, one line a second; what is
not understood is passed on as it is, never dropped; when the process ends, stderr is as it was.
"""

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

LINE_EVERY_SECONDS = 1.0
_STDERR = 2
_LIBRARY = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ (?P<place>[\w./-]+:\d+)\] (?P<text>.*)$")
_HANDSHAKE = re.compile(r"^Handshake failed with error \S+ error:[0-9a-f]+:[^:]*:[^:]*:(?P<reason>.*)$")
_NOISE = (": Invalid certificate verification context",)
_LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}

_log = structlog.get_logger()


@contextmanager
def taken_up() -> Iterator[None]:
    """Take up the library's lines while the block runs."""
    sys.stderr.flush()
    original = os.dup(_STDERR)
    reading, writing = os.pipe()
    os.dup2(writing, _STDERR)
    os.close(writing)
    reader = threading.Thread(target=_read, args=(reading, original), daemon=True, name="library-lines")
    reader.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(original, _STDERR)  # closes the pipe's last writing end, which ends the reader
        reader.join(timeout=2)


def _read(reading: int, original: int) -> None:
    lines = LibraryLines()
    with os.fdopen(reading, "rb") as pipe:
        for raw in pipe:
            if not lines.take(raw.decode("utf-8", "replace").rstrip("\n")):
                os.write(original, raw)


class LibraryLines:
    """Turns lines into log lines, and counts those that come too often."""

    def __init__(self) -> None:
        self._last = -LINE_EVERY_SECONDS
        self._held = 0

    def take(self, line: str) -> bool:
        """Log a line of the library; return False for one that is somebody else's."""
        found = _LIBRARY.match(line)
        if found is None:
            return False
        refused = _HANDSHAKE.match(found["text"])
        if refused is None:
            _log.log(_LEVELS[line[0]], "library_said", text=found["text"], place=found["place"])
            return True
        now = time.monotonic()
        if now - self._last < LINE_EVERY_SECONDS:
            self._held += 1
            return True
        reason = refused["reason"]
        for noise in _NOISE:
            reason = reason.removesuffix(noise)
        _log.warning("handshake_refused", reason=reason, refused_before_unlogged=self._held)
        self._last, self._held = now, 0
        return True
