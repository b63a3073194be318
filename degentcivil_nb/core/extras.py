"""What a plain installation lacks: it has what a simulation needs, and the notebook's side is an extra."""

from __future__ import annotations

from typing import Final

ADVICE: Final = "get the notebook's side with: pip install 'degentcivil-nb[lab]'"
"""Where the notebook's libraries come from; `[notebook]` is the same without JupyterLab."""


def missing(word: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error of a word whose libraries are missing; one of our own modules is a fault and stays as it is."""
    library = (error.name or "").partition(".")[0]
    if library in ("", __name__.partition(".")[0]):
        return error
    return ModuleNotFoundError(f"{word} needs {library}, which is not installed here; {ADVICE}", name=error.name)
