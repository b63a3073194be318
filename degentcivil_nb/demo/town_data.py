"""The data of the demo town: names, places, and what its characters think, say, make and sell."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

TICKS_A_DAY: Final = 480
MORNING: Final = 9.0
"""The hour at which the town begins."""
SIZE: Final = 100.0
"""The side of the town's square; `x` and `y` are between 0 and this."""


class Trouble(IntEnum):
    """The town's own error codes, beside those of the wire."""

    REPLY_UNREADABLE = 2001
    MODEL_TIMED_OUT = 2002
    NO_MONEY = 2003
    PATH_BLOCKED = 2004


class PlaceKind(NamedTuple):
    """A kind of place in the town."""

    name: str
    description: str
    instruction: str
    x: float
    y: float
    jobs: tuple[str, ...] = ()


PLACES: Final = (
    PlaceKind("Cafe", "Small tables, strong coffee, loud opinions", "drink something and talk", 46, 52, ("barista",)),
    PlaceKind("Park", "A pond, four benches and a great many pigeons", "look around, rest, wonder", 24, 66),
    PlaceKind("Gallery", "White rooms, the town's own art", "look closely, put a price on it", 70, 74, ("curator",)),
    PlaceKind("Market", "Stalls from dawn on; nothing has a fixed price", "buy, sell, haggle", 58, 34, ("vendor",)),
    PlaceKind("Workshop", "Easels, clay and a kiln that never cools", "make something", 80, 50, ("maker",)),
    PlaceKind("Bakery", "Warm until noon, sold out by three", "work, eat", 36, 38, ("baker",)),
    PlaceKind("Library", "Six thousand books and one strict clock", "read, write, reflect", 34, 82, ("librarian",)),
    PlaceKind("Town Hall", "Where forms go to rest", "work, complain", 52, 88, ("clerk",)),
)
HOME: Final = PlaceKind("Home", "A few rooms and a kettle", "sleep, cook, be alone", 0, 0)

NAMES: Final = (
    *("Emma", "Noah", "Mia", "Felix", "Lena", "Oscar", "Ada", "Hugo", "Iris", "Jonas", "Klara", "Max"),
    *("Nina", "Paul", "Rosa", "Theo", "Vera", "Anton", "Bea", "Caspar", "Dora", "Emil", "Frida", "Georg"),
    *("Hanna", "Ivo", "Judith", "Konrad", "Lotte", "Milo", "Nora", "Otto", "Pia", "Quentin", "Ruth", "Simon"),
    *("Tilda", "Ulrich", "Vito", "Wanda", "Xaver", "Yara", "Zoe", "Albert", "Carla", "Dario", "Elif", "Farid"),
)

BIOS: Final = (
    "keeps every letter and answers none",
    "moved here for the light and stayed for the bread",
    "knows everybody's business and calls it journalism",
    "paints the same bridge every spring",
    "has never paid the asked price for anything",
    "was a sailor, or says so",
    "counts the pigeons and writes the figure down",
    "talks to plants, politely",
    "left a bank to make pots",
    "reads the last page first",
)
GOALS: Final = (
    "hang one picture in the gallery",
    "save enough for a boat",
    "be on good terms with everyone, at last",
    "win an argument at the cafe",
    "find out who feeds the pigeons at night",
    "sell ten pieces before winter",
    "write a history of the town",
    "learn to do nothing",
)
MOODS: Final = ("gloomy", "tired", "calm", "curious", "cheerful", "elated")
"""The moods, from worst to best."""

GOODS: Final = {"honey": 6, "lamp oil": 4, "a blue shawl": 18, "quinces": 3, "a tin kettle": 11, "seed potatoes": 5}
"""The goods at the stalls, with their usual price."""
TOPICS: Final = (
    "the price of honey",
    "who broke the kiln",
    "whether the pond is deeper than it looks",
    "the new curator's taste",
    "a dream about a train",
    "the clerk's third refusal",
    "what the town will look like in ten years",
)
SIGHTS: Final = (
    "a pigeon walking like a judge",
    "the same stranger as yesterday",
    "a kite caught in the elm",
    "two children selling a stone",
    "ice at the pond's edge",
    "somebody's letter on the bench",
)
TITLES: Final = (
    *("Bridge, again", "Kettle at Rest", "Portrait of a Pigeon", "The Third Refusal", "Blue Shawl"),
    *("Low Water", "What the Clerk Saw", "Two Chairs Talking", "Bread before Noon", "Elm with Kite"),
)
HAPPENINGS: Final = (
    ("weather", {"sky": "rain", "until": "evening"}),
    ("weather", {"sky": "clear", "wind": "west"}),
    ("power_cut", {"minutes": 12}),
    ("market_day", {"discount": 0.1}),
    ("visitor", {"from": "the city", "looking_for": "art"}),
    ("pigeon_count", {"pigeons": 212}),
)
