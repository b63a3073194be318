"""Files of OpenTelemetry traces, opened as a recording."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Iterable
from pathlib import Path

from ..adapters.trace_import import import_files
from ..core.arguments import path as checked_path
from ..core.counting import counted
from ..core.escaping import visible
from ..protocol.errors import RecordingWarning
from ..recordings.save import write_entries
from .recording import Recording


def import_traces(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    into: str | os.PathLike[str] | None = None,
) -> Recording:
    """Open OpenTelemetry traces of any instrumented framework as a recording.

    Spans of models, tools and agents become LLM calls, tool calls, chat and states, in the order of their times.
    Current and older GenAI names and those of OpenInference are read. The acting character is the nearest agent whose
    span encloses a call. Other spans are left out; the last event, of type `import`, says how many of each name.

    Parameters
    ----------
    path : str, path-like, or an iterable of them
        Files of OTLP JSON lines (as the OpenTelemetry collector and `export_otlp` write them), of spans as the SDK's
        `to_json` writes them, or of lists of spans; also compressed with gzip.
    into : str or path-like, optional
        A new folder for the recording. Left out, it is in a temporary folder that is deleted with the recording.

    Returns
    -------
    Recording
        It answers the questions of a session. Parts that could not be read are rows in `errors()`. A call whose parent
        or content is missing has the key `missing` in its payload.

    Raises
    ------
    ValueError
        If there is no span in the files.
    OSError
        If a file cannot be read.

    Warns
    -----
    RecordingWarning
        If a part of the files could not be read.

    Examples
    --------
    >>> traces = new_path.with_suffix(".otlp.jsonl")
    >>> _ = session.export_otlp(traces)
    >>> imported = dc.import_traces(traces)
    >>> len(imported.llm_calls()) == len(session.llm_calls())
    True
    """
    one = isinstance(path, (str, bytes, os.PathLike)) or not isinstance(path, Iterable)
    paths = [Path(checked_path("path", item)) for item in ([path] if one else path)]  # type: ignore[union-attr]
    if not paths:
        raise ValueError("import_traces needs at least one file")
    for item in paths:
        if item.is_dir():
            raise ValueError(
                f"{visible(str(item))} is a folder; name its files, such as sorted(folder.glob('*.jsonl'))"
            )
    imported = import_files(paths)
    folder = Path(tempfile.mkdtemp(prefix="degentcivil-traces-")) if into is None else Path(checked_path("into", into))
    try:
        write_entries(folder, imported.entries)
        recording = Recording(folder)
    except BaseException:
        if into is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if into is None:
        weakref.finalize(recording, shutil.rmtree, folder, ignore_errors=True)
    if imported.problems:
        parts = counted(imported.problems, "part")
        text = f"{parts} of the traces could not be read, as errors() says; the first: {imported.first_problem}"
        warnings.warn(visible(text), RecordingWarning, stacklevel=2)
    return recording
