"""Opening a session."""

from __future__ import annotations

import os
import ssl as ssl_module
from typing import Any

from ..core import lifetime
from ..core.arguments import instance, text_or_none
from ..core.arguments import path as checked_path
from ..store.arguments import MOST, LongTime, Names, names_of, wait_s, whole
from ..store.unknown import warn_mistyped, warn_unknown
from .session import Session


def connect(
    target: Any,
    *,
    token: str | None = None,
    history: int = 1000,
    retention: int = 1_000_000,
    types: Names = None,
    characters: Names = None,
    record: str | os.PathLike[str] | None = None,
    name: str | None = None,
    ssl: ssl_module.SSLContext | None = None,
    timeout: LongTime = 10.0,
) -> Session:
    """Connect to a simulation, and follow it until the session is closed.

    Returns when the town is known and the past messages asked for are there, or, with servers that have no snapshot,
    after the handshake. If past messages are still on their way when `timeout` is over, a `UserWarning` says how many.

    Parameters
    ----------
    target : str, LocalServer, Replay or SimulationProbe
        A ``ws://`` or ``wss://`` URL, or a server or probe that runs in this process.
    token : str, optional
        What the server asks for. A server or probe in this process is asked for its own.
    history : int
        How many past messages are wanted.
    retention : int
        How many events are held at most; the oldest are dropped first.
    types : str or list-like of str, optional
        Receive only events of these types.
    characters : str, int or list-like of them, optional
        Receive only events of these characters.
    record : str or path-like, optional
        Write everything into this folder as it comes. If it holds a recording already, the session takes up what that
        has, asks for what came since, and goes on with it.
    name : str, optional
        What the session is called in this process. It closes the session that had the name, so a cell can be run again.
    ssl : ssl.SSLContext, optional
        How to trust a ``wss://`` server; left out, as the system does.
    timeout : number, str or timedelta
        How long to wait for the connection: seconds, or a text such as ``"1min"``.

    Returns
    -------
    Session
        The live session.

    Raises
    ------
    ConnectionError
        If there is no connection; it says what failed and what to try.
    ValueError
        If the URL or another argument cannot be.

    Examples
    --------
    >>> with dc.connect(server, types="error", history=100_000) as errors:
    ...     errors.events()["code"].to_list()
    [2001, 2001, 2002, 2001]
    """
    url, asked, wanted = _url_of(target), names_of(types), names_of(characters)
    history, retention = min(whole(history, "`history`"), MOST), whole(retention, "`retention`", least=1)
    token, name, timeout = text_or_none("token", token), text_or_none("name", name), wait_s(timeout, "`timeout`")
    ssl = instance("ssl", ssl, ssl_module.SSLContext, "an ssl.SSLContext")
    record = None if record is None else checked_path("record", record)
    if not isinstance(target, str):
        token = token or getattr(target, "token", None)
        ssl = ssl or getattr(target, "client_ssl", None)
    lifetime.close_named(Session, name)
    session = Session(
        url,
        token=token,
        history=history,
        retention=retention,
        types=asked,
        characters=wanted,
        record=record,
        ssl=ssl,
        timeout=timeout,
        name=name,
    )
    session._start(timeout)
    session._say_what_is_on_its_way()
    warn_mistyped(asked or (), session._store.words["type"])
    if session._client.dialect == "v1":  # whose snapshot has every one of these characters that is there
        warn_unknown("character", wanted or (), session._store.words["character_id"])
    return session


def _url_of(target: Any) -> str:
    url = target if isinstance(target, str) else getattr(target, "url", None)
    if not isinstance(url, str):
        raise ValueError(
            f"{target!r:.80} cannot be connected to; give a URL such as ws://localhost:8765, a local server or a probe"
        )
    return url
