"""Tokens appear in no log, repr, error, traceback, figure, panel, recording or URL."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.monitoring.prometheus import exposition

TOKEN = "s3cret-of-the-town-93f1"
GUESS = "s3cret-of-a-stranger"


def test_a_token_is_nowhere_to_be_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with dc.start_local_server(token=TOKEN) as server:
        server.probe.traffic.enabled = True
        session = dc.connect(server, record=tmp_path / "run")
        auth = server.probe.auth
        assert auth is not None
        panels: list[Any] = [session.panel.traffic(), session.panel.connection(), session.dashboard()]
        session.pause()
        with pytest.raises(dc.CommandError) as unknown:
            session.command("inspect", character_id="nobody")
        with pytest.raises(ConnectionError) as refused:
            dc.connect(server.url, token=GUESS)
        with pytest.raises(ConnectionError) as in_url:
            dc.connect(f"ws://127.0.0.1:1/?token={TOKEN}", timeout=1)
        session.send(json.dumps({"type": "login", "data": {"token": TOKEN}}))
        session.step(1)
        seen = [
            repr(session), repr(server), repr(server.probe), repr(auth), str(auth.tokens),
            session.url, server.url, session.metrics().to_string(), str(session.metrics().name),
            *(text for traffic in (session.traffic, server.probe.traffic) for text in traffic.frames()["text"]),
            *("".join(traceback.format_exception(caught.value)) for caught in (unknown, refused, in_url)),
            *(repr(caught.value) for caught in (unknown, refused, in_url)),
            *(str(line) for _, line in session._status.journal()),
            session.events(payload=True).to_csv(), session.commands().to_string(),
            exposition(server.probe.monitor).decode(),
            *(str(panel) for panel in panels),
        ]  # fmt: skip
        assert any("login" in text for text in seen)
        for panel in panels:
            panel.close()
        session.save(tmp_path / "saved")
        session.close()
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for secret in (TOKEN, GUESS):
        assert secret not in caplog.text
        assert [text for text in seen if secret in text] == []
        assert not any(secret.encode() in content for content in written)


def test_a_url_with_a_token_in_it_is_shown_without() -> None:
    with dc.start_local_server() as server, dc.connect(f"{server.url}/?token={TOKEN}") as session:
        assert TOKEN not in session.url + repr(session) + str(session.metrics().name)


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="never in the URL") as refused:
        dc.connect(f"ws://emma:{TOKEN}@localhost:8765")
    assert TOKEN not in "".join(traceback.format_exception_only(refused.value))
