"""The WebSocket library's log, without its tracebacks for ordinary failures."""

from __future__ import annotations

import logging

log = logging.getLogger("degentcivil_nb.server")


class _Ordinary(logging.Filter):
    """A filter that logs a failed handshake as one line at INFO, and drops the library's own INFO records."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg == "opening handshake failed":
            why = record.exc_info[1] if record.exc_info else None
            log.info("a handshake failed: %s", why)
            return False
        return record.levelno >= logging.WARNING


def library_log() -> logging.Logger:
    """Return the logger for the library, with ordinary records filtered out."""
    logger = logging.getLogger("degentcivil_nb.server.websockets")
    if not any(isinstance(held, _Ordinary) for held in logger.filters):
        logger.addFilter(_Ordinary())
    return logger
