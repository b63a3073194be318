"""The error for missing libraries: a plain installation lacks the notebook's side, which is an extra."""

from __future__ import annotations

from typing import Final

ADVICE: Final = "install what the notebook needs with: pip install 'degentcivil-nb[lab]'"
"""Where the notebook's libraries come from; `[notebook]` is the same without JupyterLab."""


def missing(word: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error of a name whose libraries are missing; if a module of ours is missing, return `error`."""
    library = (error.name or "").partition(".")[0]
    if library in ("", __name__.partition(".")[0]):
        return error
    return ModuleNotFoundError(f"{word} needs {library}, which is not installed here; {ADVICE}", name=error.name)
