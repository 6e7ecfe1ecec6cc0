"""Messages to people as lines of one file, for whoever watches files: a pager's agent, a syslog forwarder, a test.

One message is one line of JSON, flushed to the disk before it counts as delivered.
"""

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from sopwith_controller.domain.errors import UnavailableError
from sopwith_formats.units import format_time


class FileNotifier:
    """Implements the `Notifier` port."""

    channel = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def deliver(self, target: str, subject: str, body: str) -> None:
        """Append the message; raise UnavailableError when the file cannot be written."""
        document = {"time": format_time(datetime.now(UTC)), "target": target, "subject": subject, "body": body}
        line = json.dumps(document, ensure_ascii=True) + "\n"
        try:
            await asyncio.to_thread(_append, self._path, line.encode())
        except OSError as error:
            raise UnavailableError(
                f"the file {self._path} cannot be written: {error.strerror}", remedy="see [file] in sopwith.toml"
            ) from error


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
