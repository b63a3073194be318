"""The last messages of a kernel that ends: they are copied, or pages could not read them."""

from __future__ import annotations

import atexit
import sys
from typing import Any

from IPython import get_ipython


@atexit.register
def copy_from_now_on() -> None:
    """Let the kernel copy its messages, however large they are.

    Large ones are sent without a copy, which pyzmq refuses once the interpreter ends: in the middle of a message, whose
    beginning then stands before the next one, and the page says "Kernel message validation error". The last static
    view is such a message.
    """
    session: Any = getattr(getattr(get_ipython(), "kernel", None), "session", None)
    if session is not None:
        session.copy_threshold = sys.maxsize
