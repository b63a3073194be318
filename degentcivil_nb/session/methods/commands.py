"""Asking the simulation, and changing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...client.simulation_client import SimulationClient
from ...core.arguments import text
from ...core.names import NEARLY, nearest
from ...core.portal import Portal
from ...core.user_warnings import warn_user
from ...protocol.messages import WebSocketMessage
from ...store.arguments import name_of
from ...store.event_store import EventStore
from ..commands import SessionCommands, Timeout
from ..interview import Interview, interview_row
from ..unanswered import Unanswered


class CommandMethods:
    """The methods of a session that ask the simulation, change it, or send it something."""

    _client: SimulationClient
    _portal: Portal
    _commands: SessionCommands
    _store: EventStore
    _unanswered: Unanswered

    def inspect(
        self, character_id: str | int, timeout: Timeout = None, *, branch: str | int | Sequence[str | int] | None = None
    ) -> Any:
        """Return everything that the simulation itself knows of a character.

        A value that is too large for an answer (a megabyte) is cut and ends with a text that says its size; `branch`
        returns parts of it. The simulation answers at once if it offers this with ``anytime=True``, and otherwise at
        its next checkpoint.

        Parameters
        ----------
        character_id : str or int
            The character's id.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.
        branch : str, int or sequence of them, optional
            Only the part that these keys and indexes lead to, such as ``["memories", 3]``.

        Returns
        -------
        any
            The result of the simulation's inspector: mostly a dict.

        Raises
        ------
        CommandError
            With code 1102 if there is no such character, and 1101 if the simulation does not offer it.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> session.inspect("emma")["home"]
        'Home 1'
        """
        arguments: dict[str, Any] = {"character_id": name_of(character_id)}
        if branch is not None:
            arguments["branch"] = _steps(branch)
        return self._commands.call("inspect", arguments, timeout=timeout)

    def ask(self, character_id: str | int, question: str, timeout: Timeout = None) -> Interview:
        """Ask a character a question, if the simulation offers that, and check whether the question changed anything.

        The simulation answers at its checkpoint. The interview is an event of the type ``"interview"``. It is marked as
        an intervention, and so is everything that the simulation publishes while it answers.

        Parameters
        ----------
        character_id : str or int
            The character's id.
        question : str
            The question.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        Interview
            `.answer`, `.unchanged` (whether the inspected character is the same before and after; `None` where the
            simulation has no inspector), `.changed` (before and after, by name), and `.row`, the event that records it.

        Raises
        ------
        CommandError
            With code 1102 if there is no such character, and 1101 if the simulation has no asker.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     said = other.ask("emma", "Where are you?")
        ...     said.answer, said.unchanged
        ('I am at Home 1, in the state IDLE.', True)
        """
        whose = name_of(character_id)
        question = text("question", question)
        said = self.command("ask", timeout=timeout, character_id=whose, question=question)
        row = interview_row(self._store, whose, question)
        return Interview(whose, question, said["answer"], said["unchanged"], said.get("changed", {}), row)

    def set_attribute(self, character_id: str | int, name: str, value: Any, *, timeout: Timeout = None) -> int | None:
        """Change an attribute of a character in the simulation. The change is itself an event in the stream.

        Parameters
        ----------
        character_id : str or int
            The character's id.
        name : str
            The attribute's name.
        value : any
            The new value, which must have a JSON form.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        int or None
            The row of that event, which the store holds by then; `None` if the session's `types` or `characters` filter
            it out.

        Raises
        ------
        CommandError
            With code 1102 if the simulation refuses, and 1101 if it does not offer it.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     row = other.set_attribute("emma", "money", 100)
        ...     other.payload(row)["money"], other.characters().loc["emma", "money"].item()
        (100, 100.0)
        """
        arguments = {"character_id": name_of(character_id), "name": name_of(name), "value": value}
        known = self._store.names.known | self._store.names.said
        meant = None if arguments["name"] in known else nearest(arguments["name"][:200], known, NEARLY)
        row = self._commands.change("set_attribute", arguments, timeout=timeout)
        if meant is not None:  # it may be meant as a new one
            warn_user(f"no attribute {arguments['name'][:80]!r} was seen before; did you mean {meant[:80]!r}?")
        return row

    def inject_event(
        self,
        event_type: str,
        data: Any = None,
        *,
        character_id: str | int | None = None,
        timeout: Timeout = None,
    ) -> int | None:
        """Make something happen in the run: an `event_notification` published by the simulation itself.

        Parameters
        ----------
        event_type : str
            What kind of event it is.
        data : any, optional
            Its inner value, which must have a JSON form.
        character_id : str or int, optional
            Whose event it is.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        int or None
            The row of that event, which the store holds by then; `None` if the session's `types` or `characters` filter
            it out.

        Raises
        ------
        CommandError
            With code 1102 if there is no such character.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     row = other.inject_event("market_day", {"bread": 3})
        ...     other.events(payload=True).loc[row, "data"]
        {'bread': 3}
        """
        whose = None if character_id is None else name_of(character_id)
        arguments = {"event_type": name_of(event_type), "data": data, "character_id": whose}
        return self._commands.change("inject_event", arguments, timeout=timeout)

    def command(
        self, name: str, /, *, timeout: Timeout = None, arguments: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """Make the simulation run one of its commands, and return the result.

        Commands run at the simulation's checkpoints. An interrupt (Ctrl-C) ends the wait, and withdraws a command that
        has not begun.

        Parameters
        ----------
        name : str
            The command, as `commands()` lists it.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.
        arguments : mapping, optional
            Arguments by name, for names such as ``"timeout"`` that clash with those here.
        **more
            Arguments by name.

        Returns
        -------
        any
            The command's result.

        Raises
        ------
        CommandError
            If the command failed, with the server's `code`, `message` and `details`.
        OutcomeUnknown
            If the answer was lost, so that it is unknown whether the command took effect.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> session.command("inspect", character_id="emma")["state"]
        'CHATING'
        """
        given = {} if arguments is None else arguments
        if not isinstance(given, Mapping):
            raise TypeError(f"arguments must be a mapping of names to values, not {given!r:.80}")
        return self._commands.call(text("name", name), {**given, **more}, timeout=timeout)

    def commands(self) -> pd.DataFrame:
        """List the commands that the simulation offers.

        Returns
        -------
        pandas.DataFrame
            One row for each command: `name`, `role` (who may run it: ``"viewer"`` or ``"debugger"``), `arguments`
            (object: a JSON Schema), `signature` (str: the arguments as they are written), `anytime` (bool: answered at
            once, and not at a checkpoint) and `doc` (str).

        Examples
        --------
        >>> session.commands()["name"].head(3).to_list()
        ['pause', 'resume', 'step']
        >>> session.commands().set_index("name")["signature"]["step"]
        '(ticks: int = 1)'
        """
        return self._commands.table()

    def send(self, message: str | WebSocketMessage) -> None:
        """Send a frame unchanged, for servers that accept no commands.

        If nothing follows a text frame within 15 seconds, the session's `repr`, its journal and the log say so.

        Parameters
        ----------
        message : str or WebSocketMessage
            A bare text frame, such as ``"start"`` for DegentCivil's own server, or a message.

        Raises
        ------
        ConnectionError
            If there is no connection.
        RuntimeError
            If the session is closed.
        ValueError
            If the text cannot be encoded as UTF-8.

        Examples
        --------
        >>> with dc.connect(server) as other:
        ...     other.send("start")  # which this server, unlike DegentCivil's own, does not know
        ...     other.wait_for("error", where="code == 1001", after=-1)["code"]
        1001
        """
        self._portal.call(self._send, message, timeout=10)

    async def _send(self, message: str | WebSocketMessage) -> None:
        await self._client.send(message)
        if isinstance(message, str) and self._client.dialect != "v1":
            self._unanswered.sent(message)


def _steps(branch: Any) -> list[str | int]:
    """Return the steps of a branch: keys and numbers of items."""
    steps = branch if isinstance(branch, list | tuple) else [branch]
    for step in steps:
        if isinstance(step, bool) or not isinstance(step, str | int):
            raise ValueError(f"a branch is a key, the number of an item, or a list of them, not {branch!r:.80}")
    return list(steps)
