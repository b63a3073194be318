"""The contrast of every text of the dashboard that is on view, computed from what the page really paints.

A checker such as axe leaves out what it is not sure of; here each text counts, over all grounds below it.
"""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Page

LEAST: Final = 4.5
"""The contrast of text that WCAG asks for at level AA; disabled controls are excepted there too."""
FAINT: Final = """(least) => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const known = new Map();
    const rgba = (text) => {
        if (!known.has(text)) {
            pen.clearRect(0, 0, 1, 1);
            pen.fillStyle = text;
            pen.fillRect(0, 0, 1, 1);
            const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
            known.set(text, [r, g, b, a / 255]);
        }
        return known.get(text);
    };
    const over = ([r, g, b, a], [x, y, z]) => [a * r + (1 - a) * x, a * g + (1 - a) * y, a * b + (1 - a) * z];
    const ground = (el) => {
        const layers = [];
        for (let at = el; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
        return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const judge = (el, colour, text) => {
        const below = ground(el);
        const [one, other] = [light(over(rgba(colour), below)), light(below)].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < least) found.push([Math.round(100 * ratio) / 100, el.className, text.trim().slice(0, 40)]);
    };
    for (const el of document.querySelectorAll(".dc-dashboard *")) {
        if (!el.checkVisibility({ visibilityProperty: true }) || el.closest(":disabled, option, svg")) continue;
        const own = [...el.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("");
        if (own.trim()) judge(el, getComputedStyle(el).color, own);
        if (el.placeholder && !el.value) judge(el, getComputedStyle(el, "::placeholder").color, el.placeholder);
    }
    return found;
}"""


def faint(page: Page, least: float = LEAST) -> list[Any]:
    """List the texts on view whose contrast is too small: the contrast, the class of the element, the text."""
    found: list[Any] = page.evaluate(FAINT, least)
    return found
