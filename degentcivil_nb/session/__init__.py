"""What a researcher opens: a session, a recording, many runs."""

from .session import Session, connect

__all__ = ["Session", "connect"]
