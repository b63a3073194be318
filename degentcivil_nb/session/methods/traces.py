"""Writing a run as OpenTelemetry traces."""

from __future__ import annotations

import os

import pandas as pd

from ...adapters.otlp_export import export_otlp
from ...core.arguments import path as checked_path
from ...core.progress import following
from ...store.interfaces import RunStore


class TraceMethods:
    """The methods of sessions and recordings that write traces."""

    _store: RunStore

    def export_otlp(self, path: str | os.PathLike[str]) -> pd.Series:
        """Write the model calls, tool calls, chat and thoughts as OpenTelemetry GenAI traces, for Langfuse or Phoenix.

        The file holds OTLP as JSON lines. All calls and tools of a character within a tick are one trace, inside a span
        `invoke_agent NAME`, and causes are links between spans. The same run gives the same file each time. State
        changes, attributes, events and errors have no form as spans and are left out.

        Parameters
        ----------
        path : str or path-like
            A new file, such as ``"run.otlp.jsonl"``.

        Returns
        -------
        pandas.Series
            How many `spans`, `traces`, and events of each type were written; `left_out` is a dict of the number of
            events of each other type.

        Raises
        ------
        FileExistsError
            If the file exists.

        Examples
        --------
        >>> written = session.export_otlp(new_path.with_suffix(".otlp.jsonl"))
        >>> written["llm_call"] == len(session.llm_calls()), "state_change" in written["left_out"]
        (True, True)
        """
        target = checked_path("path", path)
        with following("writing traces") as progress:
            counts = export_otlp(self._store, target, progress)
        return pd.Series(counts, dtype=object, name=os.path.basename(target))  # noqa: PTH119 — of text
