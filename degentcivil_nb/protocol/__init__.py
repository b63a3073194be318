"""The wire protocol: messages, payloads and rules, as pure code without sockets, threads or clocks of its own."""

from . import messages as messages  # gives `WebSocketError` the guide's `create_error_message`
