"""A town to connect to, in this process: on its own thread, ready when the call returns, gone when it is stopped."""

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
from ..protocol.messages import Command, CommandResult, MessageTypes, WebSocketMessage
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
    """Start a demo town on its own thread, ready when the call returns; give it to `connect`, or its `.url`.

    `port=0` takes a free port; a `host` other than this machine needs a token. `tick_s` is the seconds a tick takes at
    speed 1. The same `seed` gives the same run. With `paused` the town waits for `resume` or `step`. With `token` only
    who knows it may connect; with `tls` the connection is encrypted, with a certificate made on the spot. A `name` in
    use stops the town that had it, so a cell can be run again.

    Raises `ConnectionError` when the port is in use, and `ValueError` for a town that cannot be.
    """
    return LocalServer(
        port, host=host, characters=characters, tick_s=tick_s, seed=seed, paused=paused, token=token, tls=tls, name=name
    )


class LocalServer:
    """Run a demo town with a probe, and stand in for the events and faults of a real one. Made by `start_local_server`.

    It is a context manager, stopped by `stop()` and at the interpreter's exit.
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
        """What it is known by in this process: another of that name takes its place."""
        lifetime.close_named(LocalServer, name)
        self.tls = local_tls(tuple({*LOCAL_NAMES, host})) if tls else None
        """Both ends of the trust in a certificate made on the spot; `None` without `tls`."""
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
        self.probe.flush()  # so that the first to connect finds everybody there
        lifetime.register(self, close=type(self).stop, inherited=type(self)._give_up, name=name)

    def _live(self, ready: threading.Event) -> None:
        try:
            self.town.announce()
            ready.set()
            self.town.run()
        except Exception as error:  # the town's own thread ends here, and whoever looks at it should see why
            log.exception("the town died at tick %d", self.town.tick)
            self.probe.error(1004, f"the town died: {error}", exception=error)
            self.probe.finish("dead", "exception")
        finally:
            ready.set()

    @property
    def url(self) -> str:
        """Say where to connect, such as `ws://127.0.0.1:50123`."""
        return self.probe.url

    @property
    def client_ssl(self) -> ssl_module.SSLContext | None:
        """Give what a client in this process trusts the certificate with; `None` without `tls`."""
        return self.tls.client if self.tls else None

    def stop(self) -> None:
        """End the town, its server and both threads, and free the port. Idempotent."""
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
        """Do nothing from now on: this is a forked child, and the town stayed with the parent."""
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

    # --- events on purpose ---------------------------------------------------------------------------------------

    def inject_event(self, event_type: str, data: Any = None, *, character_id: str | None = None) -> WebSocketMessage:
        """Put an event into the stream, and return it as it was sent, with its `seq`."""
        return self._inject(
            MessageTypes.EVENT_NOTIFICATION, payloads.event(event_type, data, self._clock(), character_id)
        )

    def inject_state_change(self, character_id: str, new_state: str, location: str | None = None) -> WebSocketMessage:
        """Put a change of state into the stream, and return it as it was sent, with its `seq`."""
        previous = self.probe.states.get(character_id)
        payload = payloads.state_change(character_id, new_state, location, previous, self._clock())
        sent = self._inject(MessageTypes.STATE_CHANGE, payload)
        self.probe.states[character_id] = new_state
        return sent

    def inject_character_update(self, character_id: str, **attributes: Any) -> WebSocketMessage:
        """Put attributes of a character into the stream, and return the message as it was sent, with its `seq`."""
        return self._inject(MessageTypes.CHARACTER_UPDATE, {"character_id": character_id, **attributes})

    def inject_error(self, code: int, message: str, *, character_id: str | None = None) -> WebSocketMessage:
        """Put an error into the stream, and return it as it was sent, with its `seq`."""
        return self._inject(MessageTypes.ERROR, payloads.error(code, message, character_id))

    def inject_llm_call(
        self, character_id: str | None = None, *, prompt_type: str = "TEST", **details: Any
    ) -> WebSocketMessage:
        """Put a call of a language model into the stream, and return it as it was sent, with its `seq`.

        `details` are those of `SimulationProbe.llm_call`: `prompt`, `response`, `model`, `latency_s`, `error` …
        """
        return self._inject(MessageTypes.LLM_CALL, payloads.llm_call(character_id, prompt_type, **details))

    def _inject(self, type: str, data: dict[str, Any]) -> WebSocketMessage:
        self._require_running()
        message = WebSocketMessage(type, data, self._clock(), tick=self.probe.control.tick)
        return self.probe.portal.call(self.probe.server.publish_now, message, timeout=_ANSWER_S)

    def _require_running(self) -> None:
        if self._stopped:
            raise RuntimeError("this server was stopped; start another with start_local_server()")

    # --- faults on purpose ---------------------------------------------------------------------------------------

    def inject_fault(self, kind: str, **options: Any) -> int:
        """Do something to the connected clients that a network, a server or a simulation might do.

        - `"malformed"`: send frames that are no messages; `kinds=` some of `faults.MALFORMED`, `count=1` of each.
          Returns the number of frames sent.
        - `"disconnect"`: cut all connections, or only number `which=`; with `clean=True` close them properly, with
          `code=1012`. Returns the number of connections.
        - `"stall"`: the server stands still for `seconds=2.0`, from now on. Returns the number of clients.
        - `"flood"`: publish events of type `flood`, `rate=10_000` a second for `seconds=1.0`. Returns how many, or
          with `wait=False` at once how many there will be.
        - `"restart"`: the server goes down and comes back at the same port under a new epoch. Returns the number of
          clients that were connected.

        Raises `ValueError` for another kind and `TypeError` for an option that the kind does not have.
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
        """Have the new server told of everybody, on the town's own thread as long as there is one."""
        answered: Future[CommandResult] = Future()
        self.probe.control.submit(str(uuid.uuid4()), Command("announce"), "debugger", answered.set_result)
        if not answered.result(_ANSWER_S + 1).ok:
            self.town.announce()
