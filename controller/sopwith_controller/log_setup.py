"""How the controller's own log lines look: one JSON object per line on stdout, which journald and files take as it is.

The update log is something else: the product's record, in the database. Secrets reach neither; a last net takes out of
each line what looks secret (see `sopwith_formats.redaction`), in the libraries' lines too.
"""

import logging
import sys
from typing import Any

import structlog

from sopwith_formats.redaction import redacted

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up_logging(level: str = "info") -> None:
    """Send structlog's and the libraries' lines to stdout as JSON; `level` is debug, info, warning or error."""
    number = _LEVELS[level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _redact(_logger: Any, _method: str, event: Any) -> Any:
    private = {key: value for key, value in event.items() if key.startswith("_")}  # structlog's own, not rendered
    return {**redacted({key: value for key, value in event.items() if key not in private}), **private}
