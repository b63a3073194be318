"""The exceptions of this package, and the error codes of the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

CODE_NAMES: Mapping[int, str] = {
    1001: "INVALID_MESSAGE",
    1002: "AUTH_FAILED",
    1003: "RATE_LIMIT",
    1004: "SERVER_ERROR",
    1005: "UNENCODABLE",
    1101: "UNKNOWN_COMMAND",
    1102: "INVALID_ARGUMENTS",
    1103: "FORBIDDEN",
    1104: "TIMEOUT",
    1105: "WRONG_RUN_STATE",
    1106: "CAPACITY",
    1107: "NOT_IN_CONTROL",
}
RETRYABLE = frozenset({1003, 1004, 1104, 1106})
"""Codes after which the same request may succeed later, unless the sender states otherwise."""


class RecordingWarning(UserWarning):
    """A warning that a recording is damaged, unfinished, or not protected from a second writer."""


class DegentCivilError(Exception):
    """The base class of all errors that this package raises on purpose."""


class WebSocketError(DegentCivilError):
    """An error as the wire has it: a code of the protocol, a sentence, and details as plain data.

    Codes 1001 to 1004 are the guide's. They travel in payloads and are not WebSocket close codes.
    """

    INVALID_MESSAGE: ClassVar[int] = 1001
    AUTH_FAILED: ClassVar[int] = 1002
    RATE_LIMIT: ClassVar[int] = 1003
    SERVER_ERROR: ClassVar[int] = 1004
    UNENCODABLE: ClassVar[int] = 1005
    UNKNOWN_COMMAND: ClassVar[int] = 1101
    INVALID_ARGUMENTS: ClassVar[int] = 1102
    FORBIDDEN: ClassVar[int] = 1103
    TIMEOUT: ClassVar[int] = 1104
    WRONG_RUN_STATE: ClassVar[int] = 1105
    CAPACITY: ClassVar[int] = 1106
    NOT_IN_CONTROL: ClassVar[int] = 1107

    create_error_message: ClassVar[Callable[..., Any]]
    """`error_message` of `messages.py` under the guide's name; that module sets it, since it imports this one."""

    def __init__(
        self,
        code: int,
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message or CODE_NAMES.get(code, "unknown error")
        self.details: dict[str, Any] = dict(details or {})
        self.retryable = code in RETRYABLE if retryable is None else retryable

    @property
    def name(self) -> str:
        """Return the code's name in the protocol, or `UNKNOWN`."""
        return CODE_NAMES.get(self.code, "UNKNOWN")

    def __str__(self) -> str:
        return self.message


class CommandError(WebSocketError):
    """The refusal or failure of a command; `code`, `message` and `details` are the server's."""


class OutcomeUnknown(DegentCivilError):
    """The loss of the reply to a command that was sent: it may or may not have taken effect."""

    def __init__(self, name: str, command_id: str, reason: str) -> None:
        super().__init__(name, command_id, reason)
        self.name = name
        self.command_id = command_id
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the outcome of {self.name!r} is unknown: {self.reason}. "
            "It may or may not have taken effect; check the run before you send it again."
        )


class ConnectFailed(DegentCivilError, ConnectionError):
    """A failed connection: one sentence states the reason, and a second one what to do.

    `terminal`: the same attempt would fail again, so a first connection is not retried. `final`: the server itself
    refuses, so an established session ends too; other failures may be temporary. `retry_after_s` is how long the other
    side asks to wait.
    """

    def __init__(
        self,
        reason: str,
        advice: str,
        *,
        terminal: bool = False,
        final: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(reason, advice)
        self.reason = reason
        self.advice = advice
        self.terminal = terminal or final
        self.final = final
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.reason}. {self.advice}"
