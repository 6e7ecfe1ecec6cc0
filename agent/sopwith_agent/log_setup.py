"""How the agent's log lines look: one JSON object per line, or short lines for a person at a terminal.

The update log is something else: the product's record, kept by the controller. Under systemd each line carries the
journal's priority in front, which journald takes off again. Whatever looks secret is taken out on the way (see
`sopwith_formats.redaction`), in the libraries' lines too.
"""

import logging
import os
import sys
from typing import Any

import structlog

from sopwith_formats.redaction import redacted

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog's, as sd-daemon(3) reads them at the beginning of a line."""


def set_up_logging(level: str, form: str) -> None:
    """Send structlog's and the libraries' lines to stdout; `form` is auto, json or console."""
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: Any = structlog.processors.JSONRenderer(default=str)
    if console:
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    elif _in_journal():
        renderer = _JournalRenderer(renderer)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _JournalRenderer:
    """Puts the journal's priority before a rendered line; a line is one line, so that no other can be forged."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer

    def __call__(self, logger: Any, method: str, event: Any) -> str:
        priority = _PRIORITIES.get(str(event.get("level", "info")), 6)
        return f"<{priority}>{self._renderer(logger, method, event)}"


def _in_journal() -> bool:
    """Tell whether stdout is the journal's own, as systemd says (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        stat = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _redact(_logger: Any, _method: str, event: Any) -> Any:
    private = {key: value for key, value in event.items() if key.startswith("_")}  # structlog's own, not rendered
    return {**redacted({key: value for key, value in event.items() if key not in private}), **private}
