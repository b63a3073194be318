"""Trade between characters: each trade names the call that caused it, and that its own cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .town_data import GOODS, Trouble
from .town_like import TownLike
from .town_people import Character

_PATIENCE: Final = 3
"""Rounds of haggling before a character gives up."""
_AT_A_STALL: Final = frozenset({"IDLE", "USE", "APPRECIATE", "WORK", "EMOTION", "TRADE"})


def barter(town: TownLike, me: Character, cause: str) -> Iterator[int]:
    """Offer to buy something from another character, haggle in rounds, and end with a `trade` or a `trade_refused`."""
    rng = town.rng
    town.enter_state(me, "TRADE")
    yield rng.randint(1, 4)
    seller = town.company(me, _AT_A_STALL)
    if seller is None:
        yield from _look_on(town, me)
        return
    good, worth = (seller.works[-1], 14.0) if seller.works else rng.choice(list(GOODS.items()))
    asked = round(worth * rng.uniform(0.9, 1.9), 1)
    offered = round(worth * rng.uniform(0.5, 1.0) * (1.2 - 0.4 * me.haggling), 1)
    offer = town.new_id("offer")
    data = {"seller": seller.id, "good": good, "asked": asked, "offered": offered}
    town.probe.event("offer", data, character_id=me.id, id=offer, cause=cause)
    town.enter_state(me, "BARGAIN")
    last = offer
    for _ in range(_PATIENCE):
        request = f"{seller.name} asks {asked} for {good}; you offered {offered}. What do you offer now?"
        step = rng.uniform(0.2, 0.6)
        reply = town.ask(me, "BARGAIN", request, {"offer": round(offered + (asked - offered) * step, 1)}, last)
        town.engage(seller, "BARGAIN", reply.ticks + 2)
        yield reply.ticks + 1
        last = reply.id
        if reply.answer is None:
            break  # an invalid offer ends the talk
        offered = reply.answer["offer"]
        asked = round(asked - (asked - offered) * seller.haggling * 0.3 - (asked - offered) * 0.2, 1)
        if asked - offered <= max(0.15 * worth, 0.5):
            _exchange(town, me, seller, good, round((asked + offered) / 2, 1), last)
            yield 2
            return
    data = {"seller": seller.id, "good": good, "asked": asked, "offered": offered}
    town.probe.event("trade_refused", data, character_id=me.id, id=town.new_id("refusal"), cause=last)
    me.friends[seller.id] = me.friends.get(seller.id, 0) - 1
    me.feel(-1)
    town.tell(me, "mood")


def _exchange(town: TownLike, buyer: Character, seller: Character, good: str, price: float, cause: str) -> None:
    if buyer.money < price:
        message = f"{buyer.name} agreed on {price} for {good} and has {buyer.money}"
        town.probe.error(Trouble.NO_MONEY, message, character_id=buyer.id)
        buyer.feel(-1)
        return
    buyer.money = round(buyer.money - price, 2)
    seller.money = round(seller.money + price, 2)
    if good in seller.works:
        seller.works.remove(good)
    for one, other in ((buyer, seller), (seller, buyer)):
        one.memory.append(f"traded {good} with {other.name} for {price}")
        one.friends[other.id] = one.friends.get(other.id, 0) + 1
        town.tell(one, "money")
    data = {"buyer": buyer.id, "seller": seller.id, "good": good, "price": price}
    town.probe.event("trade", data, character_id=buyer.id, id=town.new_id("trade"), cause=cause)
    buyer.feel(1)


def sell_to_visitor(town: TownLike, me: Character, cause: str) -> Iterator[int]:
    """Sell a work to a visitor from outside, who pays the asking price."""
    town.enter_state(me, "USERTRADE")
    yield town.rng.randint(2, 6)
    title = me.works.pop()
    price = float(town.rng.randint(8, 40))
    me.money = round(me.money + price, 2)
    town.tell(me, "money")
    data = {"seller": me.id, "good": title, "price": price}
    town.probe.event("user_trade", data, character_id=me.id, id=town.new_id("trade"), cause=cause)
    me.feel(1)


def buy_food(town: TownLike, me: Character, cause: str) -> Iterator[int]:
    """Eat, if there is enough money."""
    if me.money < 3:
        town.probe.error(Trouble.NO_MONEY, f"{me.name} cannot pay for a meal", character_id=me.id)
        me.feel(-1)
        me.health = max(me.health - 2, 0.0)
        town.tell(me, "health", "mood")
        yield 1
        return
    town.enter_state(me, "USE")
    yield town.rng.randint(2, 6)
    me.money = round(me.money - 3, 2)
    me.energy = min(me.energy + 8, 100.0)
    me.health = min(me.health + 1, 100.0)
    town.tell(me, "money", "energy", "health")
    town.probe.event("meal", {"price": 3}, character_id=me.id, id=town.new_id("meal"), cause=cause)


def _look_on(town: TownLike, me: Character) -> Iterator[int]:
    town.enter_state(me, "IDLE")
    yield town.rng.randint(2, 8)
