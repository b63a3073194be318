"""Figures that follow a run: drawn completely once, then only changes of their arrays are sent, in binary."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from ..figures.parts import Spec
from ..pages.chart import chart
from ..pages.parts import Remark, Section
from .panel import Panel, Update
from .refresh import Refresher

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

PERIOD_S: Final = 0.5
"""The least time between two drawings of a figure."""
SOON_S: Final = 0.15
"""The same for a figure of which an event changes little: it is drawn at each turn."""
Array = npt.NDArray[Any] | list[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Shape:
    """A figure taken apart: the parts that seldom change, and the arrays of each trace."""

    frame: Spec
    """`traces` (without their arrays) and `layout`."""
    arrays: list[Arrays]

    @classmethod
    def of(cls, spec: Spec) -> Shape:
        """Take a figure apart; times become milliseconds since the Unix epoch."""
        traces, arrays = [], []
        for trace in spec["data"]:
            long = {key: _plain(value) for key, value in trace.items() if isinstance(value, (np.ndarray, list))}
            traces.append({key: value for key, value in trace.items() if key not in long})
            arrays.append(long)
        return cls({"traces": traces, "layout": spec["layout"]}, arrays)


def _plain(value: Array) -> Array:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "M":
        milliseconds = value.astype("datetime64[ms]").astype(np.int64).astype(np.float64)
        return np.where(np.isnat(value), np.nan, milliseconds)
    return value.tolist() if value.ndim > 1 or value.dtype == object else value.astype(np.float64)


class FigurePacker:
    """The arrays of one message: numbers as buffers of doubles, equal ones only once; all others as JSON."""

    def __init__(self) -> None:
        self.buffers: list[bytes | memoryview] = []
        self._known: dict[bytes, int] = {}

    def put(self, values: Array) -> Any:
        """Add an array and return its placeholder in the message's body."""
        if not isinstance(values, np.ndarray):
            return _finite(values)
        data = values.tobytes()
        at = self._known.get(data)
        if at is None:
            at = self._known[data] = len(self.buffers)
            self.buffers.append(data)
        return {"buffer": at}


def _finite(values: Any) -> Any:
    if isinstance(values, list):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and not np.isfinite(values) else values


def whole(shape: Shape) -> Update:
    """Encode a whole figure."""
    packer = FigurePacker()
    arrays = [{key: packer.put(values) for key, values in trace.items()} for trace in shape.arrays]
    return Update({"figure": shape.frame, "arrays": arrays}, packer.buffers)


def difference(old: Shape, new: Shape) -> Update | None:
    """Encode the change of a figure: for each array what is dropped in front, what is kept, and what follows.

    `None` if nothing changed; the whole figure if its traces differ.
    """
    if len(old.arrays) != len(new.arrays) or old.frame["traces"] != new.frame["traces"]:
        return whole(new)
    packer = FigurePacker()
    changes = []
    for position, (before, after) in enumerate(zip(old.arrays, new.arrays, strict=True)):
        if before.keys() != after.keys():
            return whole(new)
        drop, keep = _common(before, after)
        lengths = {len(values) for values in before.values()} | {len(values) for values in after.values()}
        if drop == 0 and lengths == {keep}:
            continue
        tails = {key: packer.put(values[keep:]) for key, values in after.items()}
        changes.append({"trace": position, "drop": drop, "keep": keep, "tails": tails})
    layout = None if old.frame["layout"] == new.frame["layout"] else new.frame["layout"]
    if not changes and layout is None:
        return None
    body: dict[str, Any] = {"changes": changes}
    if layout is not None:
        body["layout"] = layout
    return Update(body, packer.buffers)


def _common(before: Arrays, after: Arrays) -> tuple[int, int]:
    """Return how many points were dropped in front, and how many of the rest are unchanged."""
    drop = 0
    guide = next((key for key in ("base", "x") if isinstance(before.get(key), np.ndarray)), None)
    if guide is not None and len(before[guide]) and len(after[guide]):
        found = np.flatnonzero(np.asarray(before[guide]) == after[guide][0])
        drop = int(found[0]) if len(found) else len(before[guide])
    keep = min((_same(before[key][drop:], after[key]) for key in before), default=0)
    return drop, keep


def _same(before: Array, after: Array) -> int:
    length = min(len(before), len(after))
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        one, other = before[:length], after[:length]
        unequal = np.flatnonzero(~((one == other) | (np.isnan(one) & np.isnan(other))))
        return int(unequal[0]) if len(unequal) else length
    return next((at for at in range(length) if before[at] != after[at]), length)


@cache
def plotly_script() -> bytes:
    """Return the plotly.js of the plotly package, compressed by gzip from 4.8 to 1.5 MB."""
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # ships no types

    return gzip.compress(get_plotlyjs().encode(), 6, mtime=0)


class LiveFigure(Panel):
    """A figure that is computed repeatedly by `make`, a function that returns its plain data.

    The page receives the whole figure once, then only changes: new points, the last one corrected, gaps. Zoom and pan
    are kept.
    """

    script: ClassVar[str] = "figure"
    reads_much: ClassVar[bool] = True
    rate_hz: ClassVar[float | None] = 3.6  # a drawing by plotly keeps a page busy for some 30 ms
    title: ClassVar[str] = "figure"
    period_s: float = PERIOD_S

    def __init__(
        self, make: Callable[[], Spec], version: Callable[[], Any], refresher: Refresher, **kwargs: Any
    ) -> None:
        self._build = make
        self._building = threading.Lock()  # figures are computed on the refresher's thread and by callers of `figure`
        self._version = version
        self._shape: Shape | None = None
        self._drawn_at = -np.inf
        self._script_wanted = False
        super().__init__(refresher, **kwargs)

    @property
    def figure(self) -> go.Figure:
        """Return the current figure as an ordinary plotly figure, which no longer changes."""
        from ..figures.build import figure_of

        return figure_of(self._make())

    def _make(self) -> Spec:
        with self._building:
            return self._build()

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        spec = self._make()
        picture = chart(spec)
        notes = [unescape(str(note["text"]).replace("<br>", " ")) for note in spec["layout"].get("annotations", ())]
        return [Section(self.title, [*([] if picture is None else [picture]), *map(Remark, notes)])]

    def version(self) -> Any:
        """See `Panel`."""
        return self._version()

    def refresh(self, now: float) -> int:
        """See `Panel`; not drawn again within `period_s`."""
        if not self.flow.wants_full and not self.moved and now - self._drawn_at < self.period_s:
            return 0
        self._drawn_at = now
        return super().refresh(now)

    def snapshot(self) -> Update:
        """See `Panel`; includes the drawing library if the page has none."""
        self._shape = Shape.of(self._make())
        update = whole(self._shape)
        if self._script_wanted:
            self._script_wanted = False
            update = Update({**update.body, "script": len(update.buffers)}, [*update.buffers, plotly_script()])
        return update

    def changes(self) -> Update | None:
        """See `Panel`."""
        old, self._shape = self._shape, Shape.of(self._make())
        return whole(self._shape) if old is None else difference(old, self._shape)

    def received(self, content: Any) -> None:
        """See `Panel`: a page requests the drawing library."""
        if isinstance(content, dict) and content.get("want") == "script":
            self._script_wanted = True
            self.flow.wants_full = True
