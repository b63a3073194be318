"""Control of a run: taken, asked for, granted, kept, lapsed; by a clock that is handed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from degentcivil_nb.protocol.command_payloads import CommandSpec
from degentcivil_nb.protocol.control_payloads import ClientInfo
from degentcivil_nb.protocol.debugging import ControlWord
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.simulation.lease import ControlLease
from degentcivil_nb.simulation.request import _asking
from tests.support.clock import Clock

EMMA, NOAH, MIA = (ClientInfo(name, name) for name in ("emma", "noah", "mia"))
PAUSE = CommandSpec("pause")


class Leased:
    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[ControlWord] = []
        self.present = {"emma", "noah", "mia"}
        self.lease = ControlLease(
            tell=self.told.append, present=lambda: self.present, later=lambda _s, _f: None, clock=self.clock
        )

    def take(self, client: ClientInfo | None) -> Any:
        with asking(client):
            return self.lease.take_control()

    def release(self, client: ClientInfo) -> Any:
        with asking(client):
            return self.lease.release_control()

    def after(self, seconds: float) -> ControlWord:
        self.clock.now += seconds
        self.lease.look_after(self.present)
        return self.lease.word

    def may(self, client: ClientInfo | None) -> bool:
        return self.lease.refusal(PAUSE, client) is None


@contextmanager
def asking(client: ClientInfo | None) -> Iterator[None]:
    token = _asking.set(client)
    try:
        yield
    finally:
        _asking.reset(token)


def test_without_control_everybody_may_change_the_run() -> None:
    leased = Leased()
    assert leased.may(EMMA) and leased.may(None)
    assert leased.release(EMMA) == {"holder": None}
    assert leased.told == []


def test_taken_it_is_the_takers_alone_and_reading_is_everybodys() -> None:
    leased = Leased()
    assert leased.take(EMMA) == {"holder": {"id": "emma", "name": "emma"}}
    assert leased.may(EMMA) and not leased.may(NOAH) and not leased.may(None)
    refused = leased.lease.refusal(PAUSE, NOAH)
    assert refused is not None and refused.code == WebSocketError.NOT_IN_CONTROL == 1107
    assert "'emma' has control" in str(refused)
    assert leased.lease.refusal(CommandSpec("inspect", role="viewer"), NOAH) is None
    assert leased.lease.refusal(CommandSpec("set_breakpoints"), NOAH) is None
    leased.release(NOAH)
    assert not leased.may(NOAH)
    assert leased.release(EMMA) == {"holder": None}
    assert leased.may(NOAH)


def test_a_request_is_seen_and_granted_by_release() -> None:
    leased = Leased()
    leased.take(EMMA)
    leased.take(NOAH)
    assert leased.told[-1] == ControlWord(EMMA, NOAH, 10.0)
    assert not leased.may(NOAH)
    leased.release(EMMA)
    assert leased.told[-1] == ControlWord(NOAH)


def test_a_request_is_refused_by_taking_control_again() -> None:
    leased = Leased()
    leased.take(EMMA)
    leased.take(NOAH)
    leased.take(EMMA)
    assert leased.told[-1] == ControlWord(EMMA)
    assert leased.after(60).holder == EMMA


def test_an_unanswered_request_is_granted_after_ten_seconds() -> None:
    leased = Leased()
    leased.take(EMMA)
    leased.take(NOAH)
    assert leased.after(5).holder == EMMA
    leased.take(NOAH)  # asking again does not start the time anew
    assert leased.after(4.9).holder == EMMA
    assert leased.after(0.1).holder == NOAH
    assert leased.after(60).holder == NOAH


def test_a_second_request_waits_its_turn_and_one_is_taken_back() -> None:
    leased = Leased()
    leased.take(EMMA)
    leased.take(NOAH)
    with pytest.raises(WebSocketError, match="'noah' asks for control already") as caught:
        leased.take(MIA)
    assert caught.value.code == 1107 and caught.value.retryable
    leased.release(NOAH)
    leased.take(MIA)
    assert leased.told[-1] == ControlWord(EMMA, MIA, 10.0)


def test_control_ends_when_its_holder_is_gone_for_ten_seconds() -> None:
    leased = Leased()
    leased.take(EMMA)
    leased.present = {"noah"}
    assert leased.after(0).holder == EMMA
    assert leased.after(9.9).holder == EMMA
    leased.present = {"noah", "emma"}
    assert leased.after(0.1).holder == EMMA  # back in time, and the time starts anew
    leased.present = {"noah"}
    assert leased.after(9.9).holder == EMMA
    assert leased.after(10).holder is None
    assert leased.may(NOAH)


def test_control_of_a_holder_that_is_gone_passes_to_who_asks_and_never_to_one_that_is_gone_too() -> None:
    leased = Leased()
    leased.take(EMMA)
    leased.present = {"noah"}
    leased.after(0)
    leased.after(5)
    leased.take(NOAH)
    assert leased.after(5).holder == NOAH
    leased.take(MIA)
    leased.present = {"noah"}
    assert leased.after(10) == ControlWord(NOAH)


def test_a_client_that_does_not_say_who_it_is_cannot_take_control() -> None:
    with pytest.raises(WebSocketError, match="sends no id"):
        Leased().take(None)
