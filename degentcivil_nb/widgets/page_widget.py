"""A widget whose scripts a page loads once: each instance carries only the boot script that asks for them."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import anywidget
import traitlets

from ..pages.parts import Section
from .input_comm import TARGET, InputComms
from .kernel_output import copy_from_now_on  # noqa: F401 — it is called when the kernel ends
from .refresh import Refresher
from .still import Still

STATIC: Final = Path(__file__).parent / "static"
BOOT: Final = STATIC / "boot.js"
FIRST: Final = ("text.js", "icons.js", "liveness.js", "host.js")
LAST: Final = "code.js"
"""The scripts at the beginning of the module, on which the panels' scripts build, and the last one, with its exports.
"""


class Part(NamedTuple):
    """The facts about a panel that a page needs before its first update."""

    key: str
    script: str
    title: str
    place: str
    """Where a dashboard puts it: the name of a tab, or `head`, `bar` or `side`."""


@cache
def code() -> tuple[str, bytes]:
    """Return the name of the page's module, which is its hash, and the module, compressed."""
    panels = sorted(path.name for path in STATIC.glob("*.js") if path.name not in (*FIRST, BOOT.name, LAST))
    style = "\n".join(path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.css")))
    texts = [path.read_text(encoding="utf-8") for path in (STATIC / name for name in [*FIRST, *panels, LAST])]
    text = "\n".join([f"const STYLE = {json.dumps(style)};", *texts])
    return sha256(text.encode()).hexdigest()[:16], gzip.compress(text.encode(), 9, mtime=0)


class PageWidget(anywidget.AnyWidget):
    """The Python side of one widget of a page: its key, its input comms, and the page's module."""

    _esm = BOOT.read_text(encoding="utf-8")

    layout_kind: ClassVar[str] = "panel"
    """How the page lays its parts out: `panel` or `dashboard`."""

    _key = traitlets.Unicode().tag(sync=True)
    """The key by which the page's input comm finds this widget; set once, as all traits."""
    _target = traitlets.Unicode(TARGET).tag(sync=True)
    _code = traitlets.Unicode().tag(sync=True)
    """The hash of the module that the page needs."""
    _kind = traitlets.Unicode().tag(sync=True)
    _parts: Any = traitlets.List().tag(sync=True)
    """The panels, each as the fields of `Part`."""

    def __init__(self, refresher: Refresher, parts: list[Part], *, key: str | None = None) -> None:
        key = key or uuid.uuid4().hex
        self._refresher = refresher
        self._inputs: InputComms | None = None
        self.beside = Still(parts[0].title if len(parts) == 1 else "dashboard", lambda: refresher.about, self.still)
        """The static view that a saved notebook keeps."""
        listed = [list(part) for part in parts]
        super().__init__(_key=key, _code=code()[0], _kind=self.layout_kind, _parts=listed)

    def open(self) -> None:
        """Open the widget's comms, with which a page can show it."""
        if self._inputs is None:
            self._inputs = InputComms(self._key, self._hear)
            self.on_msg(lambda _widget, content, _buffers: self._hear(content))
        super().open()

    def still(self) -> Sequence[Section]:
        """Return what a saved notebook shows of the widget."""
        return ()

    def stands(self) -> Any:
        """Return a value whose change is a reason for a new static view, beside the refresher's own reasons."""
        return None

    def keep_still(self, now: float) -> None:
        """Update the static view if the state of the run has changed; on the refresher's thread."""
        standing = self._refresher.standing()
        over = standing is not None and standing.over
        self.beside.update((standing, self.stands()), now, self.moment_shown(), at_once=over)

    def moment_shown(self) -> str:
        """Return the moment that the widget shows, as text."""
        return "as of now"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        found = super()._repr_mimebundle_(**kwargs)
        if found is None:
            return None
        data, metadata = found
        return {**data, "text/plain": self.beside.line(), "text/html": self.beside.html(self.moment_shown())}, metadata

    def _ipython_display_(self, **_: Any) -> None:
        """Display the widget, and its static view as an output of its own."""
        found = self._repr_mimebundle_()
        if found is not None:
            self.beside.show(found[0], found[1], self.moment_shown())

    def _hear(self, content: Any) -> None:
        """Receive a message of a page, on the thread that delivers it."""
        if isinstance(content, dict) and content.get("kind") == "code":
            self._refresher.post(self._send_code)
        else:
            self.take(content)

    def take(self, content: Any) -> None:
        """Pass a message of a page to the refresher's thread."""
        raise NotImplementedError

    def _send_code(self) -> None:
        self.send({"kind": "code"}, [code()[1]])

    def close(self) -> None:
        """Remove the widget from every page and release its comms. Idempotent."""
        if self._inputs is not None:
            self._inputs.close()
        if self.comm is not None:
            layout = self.layout
            super().close()
            layout.close()
