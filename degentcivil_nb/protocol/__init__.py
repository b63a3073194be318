"""What travels, and its rules: pure code without sockets, threads or clocks of its own."""

from . import messages as messages  # gives `WebSocketError` the guide's `create_error_message`
