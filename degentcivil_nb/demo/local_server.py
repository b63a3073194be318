"""The local server: a demo town on its own thread in this process, ready when the call returns."""

from __future__ import annotations

import logging
import ssl as ssl_module
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ..core import lifetime
from ..core.arguments import flag, positive_number, text, text_or_none, whole_number
from ..core.cards import card, tone_of_run
from ..core.counting import counted
from ..server.entrance.tls import LOCAL_NAMES, local_tls
from ..simulation.probe import SimulationProbe
from . import faults
from .injected_faults import FaultInjection
from .town import Town

log = logging.getLogger("degentcivil_nb.demo")

HOST: Final = "127.0.0.1"
_STOP_S: Final = 10.0


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
        The port to listen at; 0 takes a free one.
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
        The secret that clients need to connect. `connect` takes it from the server by itself.
    tls : bool
        Encrypt the connection, with a certificate made on the spot, which `connect` trusts by itself.
    name : str, optional
        The server's name in this process. An earlier server of the same name is stopped, so a cell can be run again.

    Returns
    -------
    LocalServer
        The running town; give it to `connect`, or its `.url`.

    Raises
    ------
    ConnectionError
        If the port is in use.
    ValueError
        If an argument is not possible, such as a town without characters.

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


class LocalServer(FaultInjection):
    """A demo town with a probe; events and faults of a real simulation can be injected.

    Made by `start_local_server`. It is a context manager, stopped by `stop()` and at the interpreter's exit.

    Attributes
    ----------
    probe : SimulationProbe
        The probe through which the town publishes.
    town : Town
        The simulation itself: `town.people`, `town.tick`.
    token : str or None
        The secret that clients need to connect.
    name : str or None
        The server's name in this process.
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
        """Return the URL to connect to.

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
        """Return the TLS context with which a client in this process trusts the server's certificate.

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

    def _repr_html_(self) -> str:
        facts = {
            "run": "stopped" if self._stopped else self.probe.run_state,
            "tick": self.town.tick,
            "characters": len(self.town.people),
            "connect": None if self._stopped else "dc.connect(server)",
        }
        return card("LocalServer", self.url, facts, "over" if self._stopped else tone_of_run(self.probe.run_state))
