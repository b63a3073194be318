"""A plotly figure that is also a picture, for who shows no plotly: nbconvert, GitHub, a notebook without its kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

from .parts import Spec, Still

SVG = "image/svg+xml"


class Figure(go.Figure):  # type: ignore[misc]  # plotly ships no types
    """A plotly figure with a drawing of what it showed when it was made."""

    _still: Callable[[], str | None] = staticmethod(lambda: None)

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(*args, **kwargs)
        drawing = self._still() if bundle and SVG not in bundle else None
        return bundle if drawing is None else {**bundle, SVG: drawing}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # plotly shows its own bundle here, and nothing beside it
        if bundle := self._repr_mimebundle_():
            display(bundle, raw=True)  # type: ignore[no-untyped-call]
        else:
            super()._ipython_display_()


def shown(spec: Spec, still: Still | None) -> Figure:
    """Make a plotly figure of plain data, with a picture that is drawn when the figure is displayed."""
    figure = Figure(spec)
    if still is not None:
        figure._still = lambda: still(spec)
    return figure
