"""Structured logs: events with fields, as text for people or as JSON lines for machines.

Everything goes through the standard library's logging, so that namestore inside somebody else's
process (client, embedded registry) writes nowhere unless that process says so; a node calls
`configure`. Invariant: a log that cannot be written never raises into the code that logs.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import Processor

LogFormat = Literal["text", "json"]
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

# What is known about an event wherever it comes from; grpc and asyncio log through here too.
_SHARED: tuple[Processor, ...] = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
_OWN: tuple[Processor, ...] = (
    structlog.stdlib.filter_by_level,
    *_SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of events: `log.info("server.started", address=...)`. Any thread."""
    return cast(
        "structlog.stdlib.BoundLogger",
        structlog.wrap_logger(
            logging.getLogger(name),
            processors=list(_OWN),
            wrapper_class=structlog.stdlib.BoundLogger,
        ),
    )


def configure(
    level: str = "info", log_format: LogFormat = "text", stream: TextIO | None = None
) -> None:
    """Sends the process's logs to a stream; replaces what an earlier call set up.

    Args:
        level: One of `LOG_LEVELS`; events below it are dropped.
        log_format: "text", in colour only on a terminal, or "json", one object a line.
        stream: Where to; standard error unless given.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(_SHARED),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format, colors=stream.isatty()),
            ],
        )
    )
    # Writing to a closed pipe is reported by logging itself; the node goes on.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # asyncio tells at debug level which poller it took: of no use to anybody here.
    logging.getLogger("asyncio").setLevel("WARNING")
    structlog.configure(
        processors=list(_OWN),
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def flush() -> None:
    """Writes out what is buffered; called before the process ends without cleaning up."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _renderers(log_format: LogFormat, *, colors: bool) -> list[Processor]:
    if log_format == "json":
        renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        return [structlog.processors.format_exc_info, renderer]
    return [
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
    ]
