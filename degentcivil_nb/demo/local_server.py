"""The local server: a demo town on its own thread in this process, ready when the call returns."""

from __future__ import annotations

import logging
import ssl as ssl_module
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self

from ..core import lifetime
from ..core.arguments import flag, positive_number, text, text_or_none, whole_number
from ..core.counting import counted
from ..protocol.command_payloads import Command, CommandResult
from ..protocol.messages import MessageTypes, WebSocketMessage
from ..server.entrance.tls import LOCAL_NAMES, local_tls
from ..simulation import payloads
from ..simulation.probe import SimulationProbe
from . import faults
from .town import Town

log = logging.getLogger("degentcivil_nb.demo")

HOST: Final = "127.0.0.1"
_STOP_S: Final = 10.0
_ANSWER_S: Final = 10.0


def start_local_server(
    port: int = 0,
    *,
    host: str = HOST,
    characters: int = 12,
    tick_s: float = 0.1,
    seed: int = 0,
    paused: bool = False,
    token: str | None = None,
    tls: bool = False,
    name: str | None = None,
) -> LocalServer:
    """Start a demo town on its own thread, ready when the call returns.

    Parameters
    ----------
    port : int
        Where to listen; 0 takes a free port.
    host : str
        The address to listen on. One that other machines can reach needs a `token`.
    characters : int
        How many characters live in the town, at least one.
    tick_s : float or timedelta
        How long a tick takes at speed 1, in seconds, above 0.
    seed : int
        The same seed gives the same run, tick by tick.
    paused : bool
        Wait before the first tick until a session sends `resume` or `step`.
    token : str, optional
        Only who knows it may connect. `connect` takes it from the server by itself.
    tls : bool
        Encrypt the connection, with a certificate made on the spot, which `connect` trusts by itself.
    name : str, optional
        What the server is called in this process. It stops the server that had the name, so a cell can be run again.

    Returns
    -------
    LocalServer
        The running town; give it to `connect`, or its `.url`.

    Raises
    ------
    ConnectionError
        If the port is in use.
    ValueError
        If an argument cannot be, such as a town without characters.

    Examples
    --------
    >>> with dc.start_local_server(characters=5, seed=3, paused=True) as town:
    ...     with dc.connect(town) as session:
    ...         session.step(2), len(session.characters())
    ('paused', 5)
    """
    return LocalServer(
        port, host=host, characters=characters, tick_s=tick_s, seed=seed, paused=paused, token=token, tls=tls, name=name
    )


class LocalServer:
    """A demo town with a probe; events and faults of a real simulation can be injected.

    Made by `start_local_server`. It is a context manager, stopped by `stop()` and at the interpreter's exit.

    Attributes
    ----------
    probe : SimulationProbe
        What the town tells its stream with.
    town : Town
        The simulation itself: `town.people`, `town.tick`.
    token : str or None
        What clients must know to connect.
    name : str or None
        What the server is called in this process.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = HOST,
        characters: int = 12,
        tick_s: float = 0.1,
        seed: int = 0,
        paused: bool = False,
        token: str | None = None,
        tls: bool = False,
        name: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        characters = whole_number("characters", characters, 1)
        seed = whole_number("seed", seed)
        tick_s = positive_number("tick_s", tick_s, "seconds")
        paused, tls = flag("paused", paused), flag("tls", tls)
        self.token = token = text_or_none("token", token)
        host = text("host", host)
        self.name = text_or_none("name", name)
        """The server's name in this process; another server of that name replaces it."""
        lifetime.close_named(LocalServer, name)
        self.tls = local_tls(tuple({*LOCAL_NAMES, host})) if tls else None
        """TLS contexts of both sides with a new certificate; `None` without `tls`."""
        self._clock = clock
        self._stopped = False
        self._floods: list[faults.Flood] = []
        self.probe = SimulationProbe(
            host,
            port,
            token=token,
            ssl=self.tls and self.tls.server,
            tick_s=tick_s,
            paused=paused,
            run_id=f"town-{seed}",
            clock=clock,
        )
        try:
            self.town = Town(self.probe, characters, seed)
        except BaseException:
            self.probe.close()
            raise
        ready = threading.Event()
        self._thread = threading.Thread(target=self._live, args=(ready,), name="degentcivil-town", daemon=True)
        self._thread.start()
        ready.wait()
        self.probe.flush()  # so that the first client finds all characters
        lifetime.register(self, close=type(self).stop, inherited=type(self)._give_up, name=name)

    def _live(self, ready: threading.Event) -> None:
        try:
            self.town.announce()
            ready.set()
            self.town.run()
        except Exception as error:  # the town's thread ends here, and its error must be visible
            log.exception("the town died at tick %d", self.town.tick)
            self.probe.error(1004, f"the town died: {error}", exception=error)
            self.probe.finish("dead", "exception")
        finally:
            ready.set()

    @property
    def url(self) -> str:
        """Say where to connect.

        Returns
        -------
        str
            Such as ``"ws://127.0.0.1:50123"``, or ``"wss://…"`` with `tls`.

        Examples
        --------
        >>> server.url.rpartition(":")[0]
        'ws://127.0.0.1'
        """
        return self.probe.url

    @property
    def client_ssl(self) -> ssl_module.SSLContext | None:
        """Give what a client in this process trusts the server's certificate with.

        Returns
        -------
        ssl.SSLContext or None
            `None` without `tls`.

        Examples
        --------
        >>> print(server.client_ssl)
        None
        """
        return self.tls.client if self.tls else None

    def stop(self) -> None:
        """End the town, its server and both threads, and free the port. A second call does nothing.

        Examples
        --------
        >>> town = dc.start_local_server(characters=2, paused=True)
        >>> town.stop()
        >>> town
        <LocalServer ws://127.0.0.1:...: stopped at tick 0>
        """
        if not lifetime.release(self):
            return
        self._stopped = True
        for flood in self._floods:
            flood.stop()
        self.town.stop()
        self.probe.finish()
        self._thread.join(_STOP_S)
        self.probe.close()
        if self._thread.is_alive():
            log.warning("the town did not end its tick within %g s; it is left behind as a daemon", _STOP_S)

    def _give_up(self) -> None:
        """Do nothing from now on: this is a forked child, and the town stayed in the parent."""
        self._stopped = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        if self._stopped:
            return f"<LocalServer {self.url}: stopped at tick {self.town.tick}>"
        return (
            f"<LocalServer {self.url}: {counted(len(self.town.people), 'character')}, "
            f"{self.probe.run_state} at tick {self.town.tick}>"
        )

    # --- injected events -----------------------------------------------------------------------------------------

    def inject_event(self, event_type: str, data: Any = None, *, character_id: str | None = None) -> WebSocketMessage:
        """Put an event into the stream, as if the town had told it.

        Parameters
        ----------
        event_type : str
            What kind of event it is.
        data : any, optional
            Its inner value.
        character_id : str, optional
            Whose event it is.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     message = town.inject_event("market_day", {"bread": 3})
        ...     message.type, message.data["data"]
        ('event_notification', {'bread': 3})
        """
        return self._inject(
            MessageTypes.EVENT_NOTIFICATION, payloads.event(event_type, data, self._clock(), character_id)
        )

    def inject_state_change(self, character_id: str, new_state: str, location: str | None = None) -> WebSocketMessage:
        """Put a change of state into the stream, as if the town had told it. The town's own character does not change.

        Parameters
        ----------
        character_id : str
            Whose state it is.
        new_state : str
            The state from now on.
        location : str, optional
            Where the character is. Left out, it stays where it was.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, seed=1, paused=True) as town:
        ...     message = town.inject_state_change("emma", "BARGAIN", "Gallery")
        ...     message.data["previous_state"], message.data["new_state"]
        ('IDLE', 'BARGAIN')
        """
        previous = self.probe.states.get(character_id)
        payload = payloads.state_change(character_id, new_state, location, previous, self._clock())
        sent = self._inject(MessageTypes.STATE_CHANGE, payload)
        self.probe.states[character_id] = new_state
        return sent

    def inject_character_update(self, character_id: str, **attributes: Any) -> WebSocketMessage:
        """Put attributes of a character into the stream, as if the town had told them.

        Parameters
        ----------
        character_id : str
            Whose attributes they are.
        **attributes
            Names and values; they are merged over what is known of the character.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     town.inject_character_update("emma", money=12, mood="calm").data
        {'character_id': 'emma', 'money': 12, 'mood': 'calm'}
        """
        return self._inject(MessageTypes.CHARACTER_UPDATE, {"character_id": character_id, **attributes})

    def inject_error(self, code: int, message: str, *, character_id: str | None = None) -> WebSocketMessage:
        """Put an error into the stream, as if the town had told it.

        Parameters
        ----------
        code : int
            The error's code, such as 1004.
        message : str
            What went wrong.
        character_id : str, optional
            Whose error it is.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     message = town.inject_error(1004, "planner failed", character_id="emma")
        ...     message.data["code"], message.data["message"]
        (1004, 'planner failed')
        """
        return self._inject(MessageTypes.ERROR, payloads.error(code, message, character_id))

    def inject_llm_call(
        self, character_id: str | None = None, *, prompt_type: str = "TEST", **details: Any
    ) -> WebSocketMessage:
        """Put a call of a language model into the stream, as if the town had told it.

        Parameters
        ----------
        character_id : str, optional
            Whose call it is.
        prompt_type : str
            What the call was for.
        **details
            The keywords of `SimulationProbe.llm_call`: `prompt`, `response`, `model`, `latency_s` (seconds), `error` …

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     message = town.inject_llm_call("emma", prompt="What now?", response="sleep", latency_s=0.4)
        ...     message.data["response"], message.data["latency_s"]
        ('sleep', 0.4)
        """
        return self._inject(MessageTypes.LLM_CALL, payloads.llm_call(character_id, prompt_type, **details))

    def _inject(self, type: str, data: dict[str, Any]) -> WebSocketMessage:
        self._require_running()
        message = WebSocketMessage(type, data, self._clock(), tick=self.probe.control.tick)
        return self.probe.portal.call(self.probe.server.publish_now, message, timeout=_ANSWER_S)

    def _require_running(self) -> None:
        if self._stopped:
            raise RuntimeError("this server was stopped; start another with start_local_server()")

    # --- injected faults -----------------------------------------------------------------------------------------

    def inject_fault(self, kind: str, **options: Any) -> int:
        """Do to the connected clients what a network, a server or a simulation might do.

        Parameters
        ----------
        kind : {"malformed", "disconnect", "stall", "flood", "restart"}
            ``"malformed"`` sends frames that are no messages, ``"disconnect"`` cuts connections, ``"stall"`` has the
            server stand still, ``"flood"`` publishes many events of type ``flood``, and ``"restart"`` has the server go
            down and come back at the same port under a new epoch.
        **options
            Of ``"malformed"``: `kinds`, some of ``faults.MALFORMED`` (default all), and `count`, how many of each (1).
            Of ``"disconnect"``: `which`, the number of one connection (default all), `clean`, close properly instead
            (`False`), and its `code` (1012). Of ``"stall"``: `seconds` (2.0). Of ``"flood"``: `rate`, events per second
            (10,000), `seconds` (1.0) and `wait`, return when all are published (`True`).

        Returns
        -------
        int
            The number of frames sent, connections cut, clients held up, events published, or clients that were
            connected.

        Raises
        ------
        ValueError
            If there is no such kind of fault.
        TypeError
            If the kind has no such option.
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as session:
        ...     frames = town.inject_fault("malformed", kinds="not_json")
        ...     event = session.wait_for("error", after=-1)
        ...     frames, event["code"]
        (1, 1001)
        """
        handlers: dict[str, Callable[..., int]] = {
            "malformed": self._malformed,
            "disconnect": self._disconnect,
            "stall": self._stall,
            "flood": self._flood,
            "restart": self._restart,
        }
        if kind not in handlers:
            raise ValueError(f"there is no fault {kind!r}; there are {', '.join(handlers)}")
        self._require_running()
        return handlers[kind](**options)

    def _malformed(self, *, kinds: str | Sequence[str] | None = None, count: int = 1) -> int:
        chosen = faults.chosen_kinds(kinds)
        return self.probe.portal.call(faults.send_malformed, self.probe.server, chosen, count, timeout=_ANSWER_S)

    def _disconnect(self, *, which: int | None = None, clean: bool = False, code: int = 1012) -> int:
        return self.probe.portal.call(faults.disconnect, self.probe.server, which, clean, code, timeout=_ANSWER_S)

    def _stall(self, *, seconds: float = 2.0) -> int:
        self.probe.portal.submit(faults.stall, seconds)
        return len(self.probe.server.clients)

    def _flood(self, *, rate: float = 10_000, seconds: float = 1.0, wait: bool = True) -> int:
        flood = faults.Flood(self.probe, rate, seconds)
        self._floods = [*(other for other in self._floods if other.alive), flood]
        return flood.wait() if wait else flood.total

    def _restart(self) -> int:
        clients = len(self.probe.server.clients)
        self.probe.restart_server()
        self._announce_again()
        return clients

    def _announce_again(self) -> None:
        """Publish all characters to the new server, on the town's own thread if it is running."""
        answered: Future[CommandResult] = Future()
        self.probe.control.submit(str(uuid.uuid4()), Command("announce"), "debugger", answered.set_result)
        if not answered.result(_ANSWER_S + 1).ok:
            self.town.announce()
