"""The shell command `degentcivil-nb`."""

from .app import main

__all__ = ["main"]
