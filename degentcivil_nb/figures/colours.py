"""One colour for each state, the same in every panel, figure and run."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from zlib import crc32

STATE_COLOURS: Final = {
    "IDLE": "#8c96a3",
    "SLEEPING": "#5b6f95",
    "MOVE": "#2f86d6",
    "PLAN": "#8b6fd8",
    "ACT": "#2e9e5b",
    "USE": "#63a93c",
    "WORK": "#b08a2e",
    "PERSP": "#2aa5a0",
    "PERSPQ": "#4fb0c6",
    "PERSPA": "#1f8496",
    "CRITIC": "#d3544f",
    "CHATINIT": "#e59a3c",
    "CHATING": "#e07b1f",
    "RECEIVECHAT": "#c96a3a",
    "ACTREFLECTION": "#a45fc4",
    "SUM": "#7d7fd0",
    "DRAWINIT": "#e07fb0",
    "DRAW": "#d6498f",
    "APPRECIATE": "#c25fa8",
    "EMOTION": "#e0607e",
    "TRADE": "#a9822f",
    "BARGAIN": "#c9a21f",
    "USERTRADE": "#8f7a3f",
    "ESTIMATE": "#7d9a3a",
}
"""The states of DegentCivil: mid tones that are distinct on white and on black."""

UNKNOWN: Final = "#9aa0a6"
"""The colour of an unknown state: missing, or after a gap."""


@lru_cache(maxsize=4096)
def state_colour(state: str | None) -> str:
    """Return the colour of a state as `#rrggbb`; an unlisted state gets one derived from its name."""
    if not state:
        return UNKNOWN
    known = STATE_COLOURS.get(state.upper())
    if known is not None:
        return known
    digest = crc32(state.encode("utf-8", "surrogatepass"))
    red, green, blue = colorsys.hls_to_rgb((digest % 360) / 360, 0.45 + (digest >> 9) % 12 / 100, 0.5)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def ink_on(colour: str) -> str:
    """Return the colour of text that is readable on a colour: black or white, whose contrast is the greater one."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def state_colours(states: Iterable[str]) -> dict[str, str]:
    """Return the colours of some states as plotly's `color_discrete_map`."""
    return {state: state_colour(state) for state in states}
