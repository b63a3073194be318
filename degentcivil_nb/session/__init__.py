"""What a researcher opens: a session, a recording, many runs."""

from .connecting import connect
from .session import Session

__all__ = ["Session", "connect"]
