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

    Returns when the characters and the requested past messages have arrived, or, with servers that send no snapshot,
    after the handshake. If past messages are still on their way when `timeout` is over, a `UserWarning` says how many.

    Parameters
    ----------
    target : str, LocalServer, Replay or SimulationProbe
        A ``ws://`` or ``wss://`` URL, or a server or probe that runs in this process.
    token : str, optional
        The secret that the server requires. For a server or probe in this process it is found by itself.
    history : int
        How many past messages to request.
    retention : int
        How many events are held at most; the oldest are dropped first.
    types : str or list-like of str, optional
        Receive only events of these types.
    characters : str, int or list-like of them, optional
        Receive only events of these characters.
    record : str or path-like, optional
        Write everything into this folder as it arrives. If the folder has a recording already, the session loads it,
        requests the messages since, and continues the recording.
    name : str, optional
        The session's name in this process. An earlier session of the same name is closed, so a cell can be run again.
    ssl : ssl.SSLContext, optional
        The certificates to trust for ``wss://``; left out, the system's.
    timeout : number, str or timedelta
        How long to wait for the connection: seconds, or a text such as ``"1min"``.

    Returns
    -------
    Session
        The live session.

    Raises
    ------
    ConnectionError
        If there is no connection; the message says what failed and what to try.
    ValueError
        If the URL or another argument is not possible.

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
    session._warn_of_missing_history()
    warn_mistyped(asked or (), session._store.words["type"])
    if session._client.dialect == "v1":  # the snapshot has each of these characters that exists
        warn_unknown("character", wanted or (), session._store.words["character_id"])
    return session


def _url_of(target: Any) -> str:
    url = target if isinstance(target, str) else getattr(target, "url", None)
    if not isinstance(url, str):
        raise ValueError(
            f"{target!r:.80} cannot be connected to; give a URL such as ws://localhost:8765, a local server or a probe"
        )
    return url
