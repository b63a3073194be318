"""Offering commands of the simulation to notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

from ...core.arguments import flag, text_or_none
from ...core.arguments import function as function_of
from ...protocol.commands import ROLES, DeclaredCommand, Role
from ...protocol.offered import taking
from ..stream_commands import StreamCommands
from .serving import ServingMethods

_Function = TypeVar("_Function", bound=Callable[..., Any])

_LEFT_OUT: Final[Any] = object()
"""The default of the function that a decorator is applied to; `None` instead of a function is wrong use."""


class CommandMethods(ServingMethods):
    """The methods of a probe that offer commands."""

    _stream_commands: StreamCommands
    _own: frozenset[str]

    @overload
    def command(self, function: _Function, /) -> _Function: ...

    @overload
    def command(
        self, /, *, role: Role = "debugger", name: str | None = None, anytime: bool = False
    ) -> Callable[[_Function], _Function]: ...

    def command(
        self,
        function: _Function = _LEFT_OUT,
        /,
        *,
        role: Role = "debugger",
        name: str | None = None,
        anytime: bool = False,
    ) -> _Function | Callable[[_Function], _Function]:
        """Offer a function as a command of the simulation. Used as a decorator, with or without arguments.

        Notebooks give the function's arguments by name, and they are checked against its annotations. The first line of
        its docstring describes it in `session.commands()`. It runs on the simulation's thread inside the next
        checkpoint.

        Parameters
        ----------
        function : callable
            The function to offer. A command of the same name is replaced, with a warning.
        role : {"debugger", "viewer"}
            Who may run it.
        name : str, optional
            The command's name; left out, the function's.
        anytime : bool
            Run it at once, on a worker thread of the probe, instead of at the next checkpoint. The function must then
            be safe to run beside the model.

        Returns
        -------
        callable
            The function itself.

        Raises
        ------
        TypeError
            If its signature cannot be called by name, or an annotation has no JSON form.
        ValueError
            If the name is invalid or one of the probe's own commands, or the role is unknown.
        RuntimeError
            If the probe is closed.

        Examples
        --------
        >>> purse = {"emma": 3}
        >>> with dc.SimulationProbe(port=0) as town:
        ...
        ...     @town.command(anytime=True)
        ...     def give_money(character_id: str, amount: int) -> int:
        ...         purse[character_id] += amount
        ...         return purse[character_id]
        ...
        ...     with dc.connect(town) as session:
        ...         session.command("give_money", character_id="emma", amount=2)
        5
        """
        anytime, name = flag("anytime", anytime), text_or_none("name", name)
        if not isinstance(role, str) or role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, not {role!r:.80}")

        def offer(function: _Function) -> _Function:
            function_of("function", function)
            declared = DeclaredCommand(function, name=name, role=role, anytime=anytime)
            if declared.name in self._own:
                raise ValueError(f"{declared.name!r:.80} is a command of the probe itself; give yours another name")
            self._offer(declared)
            return function

        return offer if function is _LEFT_OUT else offer(function)

    @overload
    def inspector(self, function: _Function, /) -> _Function: ...

    @overload
    def inspector(self, /, *, anytime: bool = False) -> Callable[[_Function], _Function]: ...

    def inspector(
        self, function: _Function = _LEFT_OUT, /, *, anytime: bool = False
    ) -> _Function | Callable[[_Function], _Function]:
        """Offer `inspect`. Used as a decorator, with or without arguments.

        Parameters
        ----------
        function : callable
            Takes a character's id and returns everything that is known of it. A `LookupError` means that there is no
            such character.
        anytime : bool
            Call it at once, on a worker thread of the probe, instead of at the next checkpoint.

        Returns
        -------
        callable
            The function itself.

        Examples
        --------
        >>> people = {"emma": {"money": 3}}
        >>> with dc.SimulationProbe(port=0) as town:
        ...
        ...     @town.inspector(anytime=True)
        ...     def find(character_id):
        ...         return people[character_id]
        ...
        ...     with dc.connect(town) as session:
        ...         session.inspect("emma")
        {'money': 3}
        """
        anytime = flag("anytime", anytime)

        def offer(function: _Function) -> _Function:
            self._stream_commands.inspector = taking("an inspector", function, "a character's id")
            self._offer(DeclaredCommand(self._stream_commands.inspect, role="viewer", anytime=anytime))
            return function

        return offer if function is _LEFT_OUT else offer(function)

    @overload
    def attributes(self, function: _Function, /) -> _Function: ...

    @overload
    def attributes(self, /, *, anytime: bool = False) -> Callable[[_Function], _Function]: ...

    def attributes(
        self, function: _Function = _LEFT_OUT, /, *, anytime: bool = False
    ) -> _Function | Callable[[_Function], _Function]:
        """Offer `set_attribute`. Used as a decorator, with or without arguments.

        Parameters
        ----------
        function : callable
            Takes a character's id, a name and a value, and sets the attribute. A `LookupError`, `TypeError` or
            `ValueError` refuses the command. The probe publishes the new value as a `character_update`.
        anytime : bool
            Call it at once, on a worker thread of the probe, instead of at the next checkpoint.

        Returns
        -------
        callable
            The function itself.

        Examples
        --------
        >>> people = {"emma": {"money": 3}}
        >>> with dc.SimulationProbe(port=0) as town:
        ...
        ...     @town.attributes(anytime=True)
        ...     def set_one(character_id, name, value):
        ...         people[character_id][name] = value
        ...
        ...     with dc.connect(town) as session:
        ...         _ = session.set_attribute("emma", "money", 100)
        >>> people
        {'emma': {'money': 100}}
        """
        anytime = flag("anytime", anytime)

        def offer(function: _Function) -> _Function:
            self._stream_commands.setter = taking(
                "a function under attributes", function, "a character's id", "a name", "a value"
            )
            self._offer(DeclaredCommand(self._stream_commands.set_attribute, anytime=anytime))
            return function

        return offer if function is _LEFT_OUT else offer(function)

    def asker(self, function: _Function) -> _Function:
        """Offer `ask`: the function takes a character's id and a question, and returns the character's answer.

        The interview is published as an event. If `inspect` is offered, the event has its result before and after, so
        that everyone can see that nothing changed.

        Parameters
        ----------
        function : callable
            Takes a character's id and a question.

        Returns
        -------
        callable
            The function itself, so that this is a decorator.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...
        ...     @probe.asker
        ...     def ask(character_id: str, question: str) -> str:
        ...         return f"{character_id} says: I do not know"
        """
        self._stream_commands.asker = taking("an asker", function, "a character's id", "a question")
        self._offer(DeclaredCommand(self._stream_commands.ask))
        return function

    def _offer(self, command: DeclaredCommand) -> None:
        self._must_be_open()
        if command.name in self.control.commands:
            self._warn("command", command.name, "%s %r was offered before: the new function replaces the old one")
        self.control.commands.add(command)
        self._on_loop(self._tell_commands)

    async def _tell_commands(self) -> None:
        self._server.offer_commands()
