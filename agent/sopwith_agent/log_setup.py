"""How the agent's log lines look: one JSON object per line, or short lines for a person at a terminal.

The update log is something else: the product's record, kept by the controller. Configured plainly, because structlog
would otherwise load a terminal library that an agent at rest has no use for.
"""

import logging
import sys

# Where this library is installed structlog would load it, five megabytes that an agent at rest has no use for.
_terminal_library = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]  # this is how an import is made to fail
import structlog  # noqa: E402  after the line above, on purpose

if _terminal_library is None:
    del sys.modules["rich"]
else:
    sys.modules["rich"] = _terminal_library

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up_logging(level: str, form: str) -> None:
    """Send structlog's lines to stdout; `form` is auto, json or console."""
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if console:
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if console else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=sys.stdout, level=logging.WARNING, format='{"event": "%(name)s", "detail": "%(message)s"}'
    )
