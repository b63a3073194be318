"""What the WebSocket library says of ordinary days, said the way this package says it."""

from __future__ import annotations

import logging

log = logging.getLogger("degentcivil_nb.server")


class _Ordinary(logging.Filter):
    """Let a failed handshake be what it is, a line at INFO and no traceback; what comes and goes we tell ourselves."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg == "opening handshake failed":
            why = record.exc_info[1] if record.exc_info else None
            log.info("a connection failed before it was one: %s", why)
            return False
        return record.levelno >= logging.WARNING


def library_log() -> logging.Logger:
    """Give the logger that the library is to use, with what would alarm nobody left out."""
    logger = logging.getLogger("degentcivil_nb.server.websockets")
    if not any(isinstance(held, _Ordinary) for held in logger.filters):
        logger.addFilter(_Ordinary())
    return logger
