"""Commands declared as plain functions: the schema comes from the annotations, and arguments are checked against it."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, get_type_hints

import msgspec
from msgspec import Struct

from ..core.names import did_you_mean
from .command_payloads import Command, CommandResult, CommandSpec, ErrorInfo
from .errors import WebSocketError
from .json_text import FOREIGN
from .offered import callable_by_name, name_of

Role = Literal["viewer", "debugger"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "debugger")
"""The roles, from the one that may only read to the one that may run every command."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_FIELD = re.compile(r"(?:field |at `\$\.?)`?(?P<name>[^`\[\].]+)")
_REFERENCE = "#/$defs/{name}"


def allows(role: str, required: str) -> bool:
    """Return whether `role` may run a command that requires another role; an unknown role may run none."""
    return role in ROLES and (required not in ROLES or ROLES.index(role) >= ROLES.index(required))


OFFERED_BY: Final = {"inspect": "inspector", "set_attribute": "attributes", "ask": "asker"}
"""Commands that a simulation offers with a decorator of the probe."""


class DeclaredCommand:
    """A function declared as a command: its name, the role that may run it, and its arguments."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        role: Role = "debugger",
        doc: str | None = None,
        anytime: bool = False,
        like: Callable[..., Any] | None = None,
    ) -> None:
        """Read the schema from the signature; with `anytime` the command needs no checkpoint.

        `like` is another function to read name, signature and docstring from.

        Raises `TypeError` for a signature that cannot be called by name or an annotation without a JSON form, and
        `ValueError` for an invalid name or an unknown role.
        """
        declared = function if like is None else like
        name = name or name_of(declared)
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r:.80} is not a valid command name; use letters, digits, '_', '.' and '-'")
        if role not in ROLES:
            raise ValueError(f"{role!r:.80} is not a role; use one of {', '.join(ROLES)}")
        self.function = function
        self._shape = _shape(name, declared)
        first_line = (inspect.getdoc(declared) or "").partition("\n")[0]
        self.spec = CommandSpec(name, first_line if doc is None else doc, role, _schema(name, self._shape), anytime)

    @property
    def name(self) -> str:
        """Return the name of the command."""
        return self.spec.name

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments and fill in defaults; `WebSocketError` 1102 names the invalid field."""
        try:
            checked = msgspec.convert(dict(arguments), self._shape)
        except FOREIGN as error:
            raise _invalid(self.spec, str(error)) from error
        return {field: getattr(checked, field) for field in self._shape.__struct_fields__}


class CommandTable:
    """A table of commands by name, in the order in which they were added."""

    def __init__(self) -> None:
        self._commands: dict[str, DeclaredCommand] = {}

    def add(self, command: DeclaredCommand) -> None:
        """Add a command; it replaces one of the same name."""
        self._commands[command.name] = command

    def find(self, name: str) -> DeclaredCommand:
        """Return the command of that name; `WebSocketError` 1101 lists the existing ones."""
        try:
            return self._commands[name]
        except KeyError:
            raise unknown_command(name, self._commands) from None

    def check(self, command: Command) -> tuple[DeclaredCommand, dict[str, Any]]:
        """Return the declared command and its checked arguments; `WebSocketError` 1101 for an unknown command, 1102 for
        a wrong argument.

        Whether a client may run it is checked before, in `permitted`.
        """
        declared = self.find(command.name)
        return declared, declared.check(command.arguments)

    def specs(self) -> list[CommandSpec]:
        """List the descriptions of all commands."""
        return [command.spec for command in list(self._commands.values())]

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __iter__(self) -> Iterator[DeclaredCommand]:
        return iter(list(self._commands.values()))


def permitted(specs: Iterable[CommandSpec], name: str, role: str) -> CommandSpec:
    """Return the command of that name, if the role may run it; `WebSocketError` 1101 or 1103 if not."""
    offered = {spec.name: spec for spec in specs}
    if name not in offered:
        raise unknown_command(name, offered)
    spec = offered[name]
    if not allows(role, spec.role):
        raise WebSocketError(
            WebSocketError.FORBIDDEN,
            f"{spec.name} is for the role {spec.role}, not for {role}",
            details={"role": spec.role},
        )
    return spec


def refusal(error: WebSocketError) -> CommandResult:
    """Make the answer that carries an error."""
    return CommandResult(False, error=ErrorInfo(error.code, error.message, error.details, error.retryable))


def wrong_argument(field: str, reason: str) -> WebSocketError:
    """Make the error of an argument that a handler refuses."""
    return WebSocketError(WebSocketError.INVALID_ARGUMENTS, reason, details={"field": field})


def no_such_character(name: str, known: Iterable[str]) -> WebSocketError:
    """Make the error of an unknown character, with the name of a similar one."""
    return wrong_argument("character_id", f"there is no character {name[:80]!r}{did_you_mean(name, known)}")


def unknown_command(name: str, known: Iterable[str]) -> WebSocketError:
    """Return the error for an unknown command name, with a similar name or the list of commands."""
    names = sorted(known)
    there = f"there are {', '.join(names)}" if names else "this server offers none"
    text = f"there is no command {name[:80]!r}{did_you_mean(name, names) or '; ' + there}"
    if name in OFFERED_BY:
        text = f"this simulation does not offer {name!r}; a function declared with @probe.{OFFERED_BY[name]} does"
    return WebSocketError(
        WebSocketError.UNKNOWN_COMMAND,
        text,
        details={"name": name[:80], "commands": names},
    )


def _shape(name: str, function: Callable[..., Any]) -> type[Struct]:
    """Return a struct of a function's parameters, which msgspec can check and describe."""
    signature = callable_by_name(name, function)
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise TypeError(f"the annotations of command {name!r:.80} cannot be read: {error}") from error
    fields: list[Any] = []
    for parameter in signature.parameters.values():
        annotation = hints.get(parameter.name, Any)
        if parameter.default is parameter.empty:
            fields.append((parameter.name, annotation))
        else:
            fields.append((parameter.name, annotation, _default(parameter.default)))
    return msgspec.defstruct(f"{name}.arguments", fields, kw_only=True, forbid_unknown_fields=True)


def _default(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool, bytes, tuple, frozenset, type(None))):
        return value
    return msgspec.field(default_factory=lambda: copy.deepcopy(value))


def _schema(name: str, shape: type[Struct]) -> dict[str, Any]:
    try:
        (reference,), definitions = msgspec.json.schema_components([shape], ref_template=_REFERENCE)
    except TypeError as error:
        raise TypeError(f"an annotation of command {name!r:.80} has no JSON form: {error}") from error
    own = reference["$ref"].rpartition("/")[2]
    schema: dict[str, Any] = definitions.pop(own)
    schema.pop("title", None)
    schema.setdefault("additionalProperties", False)
    return {**schema, "$defs": definitions} if definitions else schema


def _invalid(spec: CommandSpec, reason: str) -> WebSocketError:
    found = _FIELD.search(reason)
    field = found["name"] if found else None
    if field is None:
        plain = reason
    elif "missing" in reason:
        plain = f"argument {field!r} is missing"
    elif "unknown" in reason:
        plain = f"there is no argument {field!r}{did_you_mean(field, spec.arguments.get('properties', {}))}"
    else:
        plain = f"argument {field!r}: {reason.partition(' - at ')[0]}"
    takes = ", ".join(spec.arguments.get("properties", {})) or "nothing"
    return WebSocketError(
        WebSocketError.INVALID_ARGUMENTS,
        f"{spec.name}: {plain}; it takes {takes}",
        details={"command": spec.name} if field is None else {"command": spec.name, "field": field},
    )
